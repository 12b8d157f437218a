-- newest
SELECT last_value FROM blob_id_seq WHERE is_called
