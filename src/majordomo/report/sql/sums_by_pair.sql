(
    -- The cells of two dimensions.
    SELECT * FROM usage_by_pair_{tier} WHERE first_dimension = {first} AND second_dimension = {second}
) s
