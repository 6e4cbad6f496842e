-- Who may see and change what: organisations, their people, and what people sign in with.
-- The nil organisation is the one of an installation that knows no others; every key made so far belongs to it.
CREATE TABLE orgs (
    id                  uuid PRIMARY KEY,
    name                text NOT NULL UNIQUE,
    created_at          timestamptz NOT NULL DEFAULT now()
);
INSERT INTO orgs (id, name) VALUES ('00000000-0000-0000-0000-000000000000', 'default');

CREATE TABLE users (
    id                  uuid PRIMARY KEY,
    org_id              uuid NOT NULL REFERENCES orgs,
    email               text NOT NULL UNIQUE,  -- in small letters
    name                text NOT NULL,
    role                text NOT NULL CHECK (role IN ('admin', 'member')),
    password_hash       text,  -- argon2id; NULL until its first link was followed
    is_active           bool NOT NULL DEFAULT true,
    created_at          timestamptz NOT NULL DEFAULT now(),
    last_sign_in_at     timestamptz
);
CREATE INDEX users_org ON users (org_id);

-- Good for one use: whoever follows it sets the user's password. Only SHA-256 of links, sessions and tokens is kept.
CREATE TABLE sign_in_links (
    token_hash          varchar(64) PRIMARY KEY,
    user_id             uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz NOT NULL
);

CREATE TABLE user_sessions (
    token_hash          varchar(64) PRIMARY KEY,
    user_id             uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    csrf_token          text NOT NULL,  -- what a page of ours must repeat with whatever changes something
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz NOT NULL
);
CREATE INDEX user_sessions_user ON user_sessions (user_id);

CREATE TABLE user_tokens (
    id                  uuid PRIMARY KEY,
    user_id             uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name                text NOT NULL,
    token_hash          varchar(64) NOT NULL UNIQUE,
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz,
    last_used_at        timestamptz
);
CREATE INDEX user_tokens_user ON user_tokens (user_id);
