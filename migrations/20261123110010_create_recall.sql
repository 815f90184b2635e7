-- Recalls: payments that left and are asked back. A recall is a question; the order and the money follow what comes back.
create table recall (
    id bigint primary key generated always as identity,
    order_id bigint not null,
    run_id bigint not null references run,
    provider_id smallint not null references provider,
    batch_id bigint not null references batch,
    lane text not null check (lane in ('file', 'stream')),
    reason text not null
        check (reason in ('AC03', 'AGNT', 'AM09', 'CURR', 'CUST', 'CUTA', 'DUPL', 'FRAD', 'TECH', 'UPAY')),
    why text not null,
    asked_by text not null references operator (name),
    asked_at timestamptz not null,
    deadline timestamptz not null,
    state text not null default 'requested'
        check (state in ('requested', 'sent', 'pending', 'accepted', 'refused', 'lapsed')),
    message_id text unique,
    file_name text,
    file_sha256 bytea check (octet_length(file_sha256) = 32),
    answer text,
    answered_at timestamptz,
    answered_in bigint references message,
    check (lane = 'file' or file_name is null)
);
create index recall_order on recall (order_id, id);
-- One question at a time for each order.
create unique index recall_undecided on recall (order_id) where state in ('requested', 'sent', 'pending');
comment on column recall.state is 'Undecided after its deadline counts as lapsed; it is written so once it is asked again.';
comment on column recall.message_id is 'Of the assignment and of the case: the provider answers under it.';
comment on column recall.answer is 'Reason code of a refusal or delay; in the stream lane the status that the provider told.';
