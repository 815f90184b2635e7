-- Grants that are claimed for a child, and deposits for children in institutions.

alter table snapshot
    add column claims bigint not null default 0,
    add column rejected_claims bigint not null default 0,
    add column deposits bigint not null default 0,
    add column rejected_deposits bigint not null default 0;
comment on column snapshot.claims is 'Claims of birth grants that were taken.';
comment on column snapshot.deposits is 'Children in institutions that were taken.';

alter table snapshot_rejection drop constraint snapshot_rejection_part_check;
alter table snapshot_rejection
    add constraint snapshot_rejection_part_check check (part in ('households', 'members', 'claims', 'deposits'));

create table birth_claim (
    snapshot_id bigint not null references snapshot,
    row_number bigint not null,
    household_id text collate "C" not null,
    rank smallint not null check (rank > 0),
    claimed_on date not null,
    child_key bytea not null check (octet_length(child_key) = 16),
    child bytea not null,
    primary key (snapshot_id, row_number)
);
create index birth_claim_household on birth_claim (snapshot_id, household_id);
comment on column birth_claim.child_key is 'Personal: made by the codec in the store, so that one child is found again.';
comment on column birth_claim.child is 'Personal: passes through the codec in the store.';

create table child_in_care (
    snapshot_id bigint not null references snapshot,
    row_number bigint not null,
    deposit_id text collate "C" not null,
    place_id integer not null,
    ground smallint not null,
    since date not null,
    until date,
    child_key bytea not null check (octet_length(child_key) = 16),
    child bytea not null,
    primary key (snapshot_id, row_number)
);
create unique index child_in_care_deposit on child_in_care (snapshot_id, deposit_id);
comment on column child_in_care.deposit_id is 'The registry''s identifier of the deposit: the household id of its orders.';
comment on column child_in_care.child_key is 'Personal: made by the codec in the store, so that one child is found again.';
comment on column child_in_care.child is 'Personal: passes through the codec in the store.';

-- What an order pays for one child. Live as long as its run is not cancelled; while it is, nothing pays the same again.
create table child_payment (
    id bigint primary key generated always as identity,
    order_id bigint not null,
    run_id bigint not null references run,
    programme_id smallint not null references programme,
    purpose_id smallint not null references purpose,
    period integer,
    rank smallint check (rank > 0),
    amount bigint not null check (amount > 0),
    household_id text collate "C" not null,
    child_key bytea not null check (octet_length(child_key) = 16),
    live boolean not null default true
);
create unique index child_payment_once on child_payment (programme_id, purpose_id, child_key) where live and period is null;
create unique index child_payment_once_a_month on child_payment (programme_id, purpose_id, child_key, period)
    where live and period is not null;
create index child_payment_order on child_payment (order_id);
create index child_payment_run on child_payment (run_id);
create index child_payment_household on child_payment (household_id);
comment on column child_payment.period is 'The month it is for; null for what is paid once for all time.';
comment on column child_payment.household_id is 'The household of the order, or the deposit.';

-- A deposit that is released to a child that came of age. Live as long as its run is not cancelled.
create table deposit_release (
    run_id bigint not null references run,
    programme_id smallint not null references programme,
    deposit_id text collate "C" not null,
    of_age_on date not null,
    amount bigint not null check (amount > 0),
    child_key bytea not null check (octet_length(child_key) = 16),
    live boolean not null default true,
    primary key (run_id, deposit_id)
);
create unique index deposit_release_once on deposit_release (programme_id, child_key) where live;
comment on column deposit_release.amount is 'All that was paid in for the child, what makes up the minimum included.';

-- A month has one run of each kind, as it has one regular run: its claims are claims of that month.
create unique index run_one_of_children on run (programme_id, period, kind)
    where kind in ('birth-grant', 'deposit') and state <> 'cancelled';
