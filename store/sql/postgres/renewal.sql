-- skip_numbers
SELECT setval(CAST(format('%I.%I', schemaname, sequencename) AS REGCLASS),
              COALESCE(last_value, 0) + CASE sequencename WHEN 'object_id_seq' THEN CAST(:objects AS BIGINT) ELSE CAST(:others AS BIGINT) END)
FROM pg_sequences WHERE schemaname = current_schema
