-- Files of messages that were refused, or that would have opened too many breaks: kept whole in the home, tried again once the cause
-- is mended, or dismissed by a person.
create table message_set_aside (
    id bigint primary key generated always as identity,
    sha256 bytea not null unique check (octet_length(sha256) = 32),
    file_name text not null,
    bytes bigint not null,
    why text not null,
    breaks bigint,
    set_aside_at timestamptz not null,
    tried_at timestamptz not null,
    tries integer not null default 1,
    settled_at timestamptz,
    settled_by text,
    settlement text check (settlement in ('applied', 'dismissed')),
    constraint message_set_aside_settled check ((settled_at is null) = (settlement is null))
);
comment on column message_set_aside.breaks is 'Set where it was set aside for the breaks that it would open.';
