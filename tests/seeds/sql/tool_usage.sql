SELECT
    unnest(tool_names) as tool,
    COUNT(*) as times_used
FROM claude_request_details
GROUP BY 1
ORDER BY times_used DESC;
