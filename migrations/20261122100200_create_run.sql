-- Runs, their orders and what is decided about them.

create table run (
    id bigint primary key generated always as identity,
    programme_id smallint not null references programme,
    period integer not null,
    kind text not null,
    state text not null,
    snapshot_id bigint not null references snapshot,
    compared_with bigint references run,
    rules_sha256 bytea not null,
    orders_sha256 bytea,
    households bigint not null default 0,
    orders bigint not null default 0,
    exclusions bigint not null default 0,
    entitled bigint not null default 0,
    ordered bigint not null default 0,
    created_by text not null references operator (name),
    created_at timestamptz not null,
    submitted_by text references operator (name),
    approved_by text references operator (name),
    funded_by text references operator (name),
    content jsonb,
    content_sha256 bytea,
    paused boolean not null default false,
    closed_at timestamptz,
    constraint run_four_eyes check (approved_by is null or approved_by not in (created_by, submitted_by)),
    constraint run_accountant_apart check (funded_by is null or funded_by not in (created_by, submitted_by, approved_by))
);
create unique index run_one_regular on run (programme_id, period) where kind = 'regular' and state <> 'cancelled';
comment on column run.content is 'What was submitted: snapshot, rules, order totals. Approval is bound to its hash.';

-- Orders are immutable. order_id = run id × 2^32 + place in the run: ascends with household_id. Each leaf is one run,
-- built by COPY FREEZE, and has a unique index on (household_id, period, purpose_id, attempt).
create table payment_order (
    order_id bigint not null,
    household_row integer not null,
    place_id integer not null,
    period integer not null,
    purpose_id smallint not null,
    attempt smallint not null,
    provider_id smallint not null,
    wave smallint not null,
    entitled bigint not null,
    offset_amount bigint not null,
    amount bigint not null,
    household_id text collate "C" not null,
    components bytea not null,
    payee bytea not null,
    primary key (order_id),
    constraint payment_order_adds_up check (entitled = offset_amount + amount and amount >= 0)
) partition by range (order_id);
comment on column payment_order.components is 'Why the amount: the lines of the entitlement, compact.';
comment on column payment_order.payee is 'Personal: passes through the codec in the store.';

create table exclusion (
    run_id bigint not null,
    household_row integer not null,
    household_id text collate "C" not null,
    reason text not null
) partition by list (run_id);

create table order_hold (
    order_id bigint not null,
    reason text not null,
    detail text not null default '',
    placed_by text not null,
    placed_at timestamptz not null,
    released_by text,
    released_at timestamptz,
    released_why text,
    primary key (order_id, reason),
    constraint order_hold_release_is_whole check ((released_by is null) = (released_at is null))
);
comment on table order_hold is 'An order is held while any of its rows has no release.';

create table run_check (
    run_id bigint not null references run,
    code text not null,
    scope text not null,
    value text not null,
    threshold text not null,
    breached boolean not null,
    acknowledged_by text references operator (name),
    acknowledged_at timestamptz,
    acknowledged_why text,
    primary key (run_id, code, scope)
);

create table run_comparison (
    run_id bigint not null references run,
    dimension text not null check (dimension in ('all', 'region', 'provider')),
    label text not null,
    before_households bigint not null,
    before_amount bigint not null,
    after_households bigint not null,
    after_amount bigint not null,
    joined bigint not null,
    "left" bigint not null,
    amount_changed bigint not null,
    account_changed bigint not null,
    primary key (run_id, dimension, label)
);
