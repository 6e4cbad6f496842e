"""Room 1: may this request go on? Key, metadata, gate."""
