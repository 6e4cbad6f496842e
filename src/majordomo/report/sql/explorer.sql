SELECT {columns}
FROM {source}
WHERE {conditions}
