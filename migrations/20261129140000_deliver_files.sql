-- The way of files to providers that are brought them by SFTP, and of the messages that are fetched there.
create table file_delivery (
    id bigint primary key generated always as identity,
    provider_id smallint not null references provider,
    file_name text not null,
    kind text not null check (kind in ('pain.001', 'camt.055')),
    batch_id bigint references batch,
    recall_id bigint references recall,
    sha256 bytea not null check (octet_length(sha256) = 32),
    bytes bigint not null,
    state text not null default 'waiting' check (state in ('waiting', 'naming', 'delivered', 'stopped')),
    waits_since timestamptz not null,
    tries integer not null default 0,
    tried_at timestamptz,
    fault text,
    stop_reason text check (stop_reason in ('name_taken', 'may_be_taken', 'refused')),
    host text,
    delivered_at timestamptz,
    unique (provider_id, file_name),
    check (num_nonnulls(batch_id, recall_id) = 1),
    check ((state = 'stopped') = (stop_reason is not null)),
    check ((state = 'delivered') = (delivered_at is not null))
);
create index file_delivery_open on file_delivery (provider_id, id) where state <> 'delivered';
create index file_delivery_batch on file_delivery (batch_id);
comment on column file_delivery.state is 'naming: it may have been given its name there; written before the name is given.';

create table file_fetch (
    id bigint primary key generated always as identity,
    provider_id smallint not null references provider,
    remote_name text not null,
    bytes bigint not null,
    modified bigint not null,
    sha256 bytea not null check (octet_length(sha256) = 32),
    local_name text not null,
    fetched_at timestamptz not null,
    imported_at timestamptz,
    settled boolean not null default false,
    unique (provider_id, remote_name, bytes, modified),
    unique (provider_id, local_name)
);
create index file_fetch_open on file_fetch (provider_id, id) where imported_at is null or not settled;
comment on column file_fetch.settled is 'What was agreed for fetched messages (left, archived, deleted) was done at the provider.';
