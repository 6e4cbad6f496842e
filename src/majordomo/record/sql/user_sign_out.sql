-- Sessions end and links that are out die; tokens are looked up together with their user, who is not active.
WITH ended AS (DELETE FROM user_sessions WHERE user_id = $1)
DELETE FROM sign_in_links WHERE user_id = $1
