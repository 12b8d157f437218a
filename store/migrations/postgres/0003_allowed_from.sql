-- The few accounts of whose own settings some let them send from foreign addresses: they are looked for by such an address.
CREATE INDEX account_allowed_from ON account (id)
WHERE instr("values", '"allow_any_from"') > 0 OR instr("values", '"allow_from_addresses"') > 0;
