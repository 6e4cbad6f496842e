(
    -- The histograms of all requests, or of one dimension.
    SELECT * FROM latency_{tier} WHERE dimension = '{dimension}'
) s
