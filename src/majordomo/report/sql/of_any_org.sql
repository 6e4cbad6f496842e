-- Of any organisation: all of them by name, for an index that begins with them.
{org} = ANY (ARRAY(SELECT id FROM orgs))
