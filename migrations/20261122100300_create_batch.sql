-- Batches, and what comes back about them and about single orders.

-- A batch of the file lane is a range of order ids of one provider, less the orders that were held when it was
-- released (order_hold.missed_batch), or, for orders released later, a list (batch_member).
create table batch (
    id bigint primary key generated always as identity,
    run_id bigint not null references run,
    provider_id smallint not null references provider,
    wave smallint not null,
    sequence integer not null,
    listed boolean not null default false,
    first_order bigint not null,
    last_order bigint not null,
    state text not null,
    orders bigint not null,
    amount bigint not null,
    value_date date,
    message_id text unique,
    file_name text,
    created_at timestamptz,
    sent_at timestamptz,
    file_sha256 bytea,
    file_bytes bigint,
    outcomes bigint not null default 0,
    outcomes_amount bigint not null default 0,
    accepted bigint not null default 0,
    accepted_amount bigint not null default 0,
    rejected bigint not null default 0,
    rejected_amount bigint not null default 0,
    returned bigint not null default 0,
    returned_amount bigint not null default 0,
    debited_amount bigint not null default 0,
    credited_amount bigint not null default 0,
    unique (run_id, provider_id, wave, sequence)
);
comment on column batch.outcomes is 'Orders that have outcomes of their own; the others stand where the batch stands.';
comment on column batch.accepted is 'Orders whose own outcome is no more than accepted.';
comment on column batch.debited_amount is 'Debits that account statements booked for it.';
comment on column batch.credited_amount is 'Returns that account statements booked for its orders.';

create table batch_member (
    order_id bigint primary key,
    batch_id bigint not null references batch
);

alter table order_hold add column missed_batch bigint references batch;
create index order_hold_missed on order_hold (missed_batch) where missed_batch is not null;
comment on column order_hold.missed_batch is 'The range batch that left without this order.';

create table message (
    id bigint primary key generated always as identity,
    sha256 bytea not null unique check (octet_length(sha256) = 32),
    kind text not null,
    message_ref text not null,
    provider_id smallint references provider,
    file_name text not null,
    bytes bigint not null,
    received_at timestamptz not null,
    entries bigint not null,
    applied bigint not null,
    already bigint not null,
    noted bigint not null,
    breaks bigint not null,
    warnings jsonb not null default '[]'
);

-- What a message says of a whole batch.
create table batch_event (
    batch_id bigint not null references batch,
    step smallint not null,
    message_id bigint not null references message,
    status text not null,
    reason text,
    primary key (batch_id, step, message_id)
);

-- Steps of a single order, append-only, each at most once: 1 accepted, 2 settled (advice), 3 settled (booked),
-- 4 rejected, 5 returned (advice), 6 returned (booked). One leaf for each run.
create table outcome (
    order_id bigint not null,
    step smallint not null,
    message_id bigint not null,
    reason text,
    primary key (order_id, step)
) partition by range (order_id);

create table statement (
    message_id bigint not null references message,
    number integer not null,
    provider_id smallint not null references provider,
    reference text not null,
    sequence bigint,
    opening bigint,
    closing bigint,
    credits bigint not null,
    debits bigint not null,
    entries bigint not null,
    booked_from date,
    booked_to date,
    primary key (message_id, number)
);
create unique index statement_once on statement (provider_id, reference);

create table break (
    id bigint primary key generated always as identity,
    kind text not null,
    dedup_key text not null unique,
    run_id bigint references run,
    provider_id smallint references provider,
    batch_id bigint references batch,
    order_id bigint,
    message_id bigint references message,
    entry bigint,
    amount bigint,
    detail text not null,
    opened_at timestamptz not null,
    resolved_at timestamptz,
    resolved_by text,
    resolution text,
    carried boolean not null default false
);
create index break_open on break (run_id) where resolved_at is null;

create table carried_forward (
    run_id bigint not null references run,
    subject text not null,
    orders bigint not null,
    amount bigint not null,
    reason text not null,
    carried_by text not null references operator (name),
    carried_at timestamptz not null,
    primary key (run_id, subject)
);
