"""`procura prov` and its neighbours: the verbs of `carbonio prov` with their arguments and output shapes."""
