SELECT {value} AS value, {bucket} AS bucket, {amounts} FROM {source} WHERE {conditions}
