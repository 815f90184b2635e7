-- Who calls in, what they bring, and what is told to others.

create table api_token (
    id bigint primary key generated always as identity,
    name text not null unique,
    -- The provider whose orders it reaches; null for the registry's own tokens.
    institution text,
    scopes text[] not null,
    sha256 bytea not null unique check (octet_length(sha256) = 32),
    created_by text not null references operator (name),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz
);
comment on column api_token.sha256 is 'Of a token of 256 random bits, which is shown once.';

-- A standing approval: three people allow orders that arrive as events, up to a ceiling for each order and each day.
create table standing_approval (
    id bigint primary key generated always as identity,
    programme_id smallint not null references programme,
    purpose text not null,
    order_max bigint not null check (order_max > 0),
    day_max bigint not null check (day_max > 0),
    valid_from date not null,
    valid_to date not null,
    proposed_by text not null references operator (name),
    proposed_at timestamptz not null,
    approved_by text references operator (name),
    approved_at timestamptz,
    funded_by text references operator (name),
    funded_at timestamptz,
    revoked_by text references operator (name),
    revoked_at timestamptz,
    constraint standing_approval_four_eyes check (approved_by is null or approved_by <> proposed_by),
    constraint standing_approval_accountant_apart check (funded_by is null or funded_by not in (proposed_by, approved_by)),
    check (valid_to >= valid_from)
);
alter table run add constraint run_standing_approval foreign key (standing_approval) references standing_approval;
alter table run add column business_day date;
create unique index run_one_a_day on run (standing_approval, business_day, period) where standing_approval is not null;

-- Events taken, each once by its id.
create table event (
    id text collate "C" primary key check (length(id) between 1 and 64),
    kind text not null,
    outcome text not null check (outcome in ('applied', 'held', 'refused')),
    detail text not null default '',
    content_sha256 bytea not null check (octet_length(content_sha256) = 32),
    order_id bigint,
    source text not null,
    received_at timestamptz not null
);

-- Changes to eligibility that came as events since the registry's last list.
create table household_change (
    id bigint primary key generated always as identity,
    household_id text collate "C" not null,
    programme_id smallint not null references programme,
    kind text not null check (kind in ('account', 'death', 'hold', 'release')),
    payload bytea,
    event_id text collate "C" not null unique references event,
    at timestamptz not null
);
create index household_change_household on household_change (programme_id, household_id, id);
comment on column household_change.payload is 'Personal: passes through the codec in the store.';

-- What is told to others, in the order of id; rows are taken away once they were told.
create table outbox (
    id bigint primary key generated always as identity,
    subject text not null,
    body jsonb not null,
    at timestamptz not null
);

-- Confirmations that a payment institution uploads piece by piece.
create table upload (
    id text primary key check (id ~ '^[A-Za-z0-9._-]{1,64}$'),
    provider_id smallint not null references provider,
    bytes bigint not null check (bytes > 0),
    sha256 bytea not null check (octet_length(sha256) = 32),
    received bigint not null default 0,
    begun_at timestamptz not null,
    done_at timestamptz,
    result jsonb
);
create table upload_piece (
    upload_id text not null references upload,
    first_byte bigint not null,
    body bytea not null,
    primary key (upload_id, first_byte)
);

-- Work lists: which orders a payment point was told to pay, fixed when the list is made.
create table worklist (
    id bigint primary key generated always as identity,
    provider_id smallint not null references provider,
    point text not null,
    day date not null,
    number integer not null,
    orders bigint not null,
    amount bigint not null,
    sha256 bytea not null,
    body bytea not null,
    made_at timestamptz not null,
    fetched_at timestamptz,
    unique (provider_id, point, day, number)
);
comment on column worklist.body is 'Compressed; personal.';
-- An order is put on one list, once.
create table worklist_member (
    order_id bigint primary key,
    worklist_id bigint not null references worklist
);

-- Whether anybody is to be told: set from the configuration at start.
create table outbox_switch (
    single boolean primary key default true check (single),
    tells boolean not null
);
insert into outbox_switch (tells) values (false);

-- Runs and batches are told of by trigger, whatever moves them; orders by what records their steps.
create function tell_state() returns trigger language plpgsql as $$
begin
    if (select tells from outbox_switch) then
        insert into outbox (subject, body, at)
        values (tg_table_name || '.' || new.id, jsonb_build_object(tg_table_name, new.id, 'state', new.state, 'before', old.state),
                clock_timestamp());
        perform pg_notify('sarf_outbox', '');
    end if;
    return null;
end $$;
create trigger run_told after update of state on run for each row when (old.state is distinct from new.state)
    execute function tell_state();
create trigger batch_told after update of state on batch for each row when (old.state is distinct from new.state)
    execute function tell_state();
