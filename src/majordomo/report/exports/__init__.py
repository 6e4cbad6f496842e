"""Files to take away: CSV, Parquet and FOCUS of the requests that a question is about; any number in bounded memory."""
