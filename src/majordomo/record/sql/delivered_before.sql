-- Which of these requests have a row already, of whatever time: a sender's clock may have been corrected.
SELECT DISTINCT id FROM llm_requests WHERE id = ANY($1::uuid[])
