"""What a neighbouring mail server may ask us: who may send from an address, who lives here, and may this come in?"""
