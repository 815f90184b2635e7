-- The stream lane: orders handed over by HTTP, one life each.

-- Steps get room: 1 sent (intent), 2 unknown, 3 accepted, 4 available, 5 settled (advice), 6 settled (booked),
-- 7 collected (callback), 8 collected (settlement file), 9 rejected, 10 expired, 11 returned (advice), 12 returned (booked).
update outcome set step = step + 100;
update outcome set step = case step when 101 then 3 when 102 then 5 when 103 then 6 when 104 then 9 when 105 then 11 else 12 end
 where step > 100;
update batch_event set step = step + 100 where step <> 0;
update batch_event set step = case step when 101 then 3 else 9 end where step > 100;

alter table batch add column lane text not null default 'file' check (lane in ('file', 'stream'));
alter table batch add column paid bigint not null default 0;
alter table batch add column paid_amount bigint not null default 0;
alter table batch add column expired bigint not null default 0;
alter table batch add column expired_amount bigint not null default 0;
comment on column batch.paid is 'Orders settled or collected one by one.';
-- Reports of the stream lane are no files: they have no hash.
alter table message alter column sha256 drop not null;
alter table run add column standing_approval bigint;
comment on column run.standing_approval is 'Set where the run gathers orders that arrive as events, under a standing approval.';

-- A piece of a batch that one worker works off: a range of order ids of the batch's provider. Orders below next_order have
-- left, or are somebody's to ask about.
create table shard (
    id bigint primary key generated always as identity,
    run_id bigint not null references run,
    batch_id bigint not null references batch,
    provider_id smallint not null references provider,
    first_order bigint not null,
    last_order bigint not null,
    next_order bigint not null,
    done boolean not null default false,
    not_before timestamptz not null,
    worker text,
    fence bigint not null default 0,
    leased_until timestamptz,
    unique (batch_id, first_order)
);
create index shard_open on shard (provider_id, id) where not done;
comment on column shard.fence is 'Rises with each lease: a worker that lost its lease can no longer write under it.';

-- Orders to ask their provider about: unknown ones, and accepted ones of a provider that tells nothing by itself.
create table enquiry (
    order_id bigint primary key,
    provider_id smallint not null references provider,
    unknown boolean not null,
    since timestamptz not null,
    next_at timestamptz not null,
    tries integer not null default 0,
    leased_until timestamptz,
    asked_person boolean not null default false
);
create index enquiry_due on enquiry (provider_id, next_at);

-- A provider's pace, over all workers: the time until which its allowance is given away, and what it took today.
create table pace (
    provider_id smallint primary key references provider,
    given_until timestamptz not null,
    day date not null,
    day_orders bigint not null default 0
);

-- How far a provider's list of changes was read.
create table change_cursor (
    provider_id smallint primary key references provider,
    cursor text not null,
    read_at timestamptz not null
);

-- A provider's daily settlement file, and its shares by batch; the account statement debits its sum in one entry.
create table settlement (
    message_id bigint primary key references message,
    provider_id smallint not null references provider,
    reference text not null,
    business_date date not null,
    orders bigint not null,
    amount bigint not null,
    fees bigint not null,
    debited boolean not null default false,
    unique (provider_id, reference)
);
create table settlement_share (
    message_id bigint not null references settlement,
    batch_id bigint not null references batch,
    run_id bigint not null references run,
    orders bigint not null,
    amount bigint not null,
    primary key (message_id, batch_id)
);
