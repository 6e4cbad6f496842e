DELETE FROM metadata_activations WHERE key_name = $1 AND ($2::uuid IS NULL OR org_id = $2)
