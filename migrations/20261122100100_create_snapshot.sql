-- The registry's monthly list, immutable. One leaf table for each snapshot, built by COPY FREEZE and attached whole.

create table snapshot (
    id bigint primary key generated always as identity,
    content_sha256 bytea not null unique check (octet_length(content_sha256) = 32),
    programme text not null,
    period integer not null,
    source text not null,
    created_at timestamptz not null,
    imported_at timestamptz not null,
    household_rows bigint not null,
    member_rows bigint not null,
    households bigint not null,
    members bigint not null,
    rejected_households bigint not null,
    rejected_members bigint not null,
    constraint snapshot_households_add_up check (household_rows = households + rejected_households)
);
comment on column snapshot.period is 'Months since 2000-01.';

create table place (
    snapshot_id bigint not null references snapshot,
    id integer not null,
    region text not null,
    province text not null,
    commune text not null,
    primary key (snapshot_id, id)
);

-- household_key = snapshot id × 2^32 + data row: ascends with household_id within a snapshot.
create table household (
    household_key bigint not null,
    household_id text collate "C" not null,
    place_id integer not null,
    rsu_score bigint not null,
    means smallint not null,
    flags smallint not null,
    members_rejected smallint not null,
    excluded_by text,
    provider text,
    payee bytea not null,
    members bytea not null
) partition by range (household_key);
comment on column household.rsu_score is 'Millionths.';
comment on column household.flags is 'Bit 0 head resident, bit 1 payee deceased, bits 2-4 payee relation, bits 5-6 account level (0 unknown).';
comment on column household.payee is 'Personal: passes through the codec in the store.';
comment on column household.members is 'Personal: passes through the codec in the store.';

create table snapshot_rejection (
    snapshot_id bigint not null references snapshot,
    part text not null check (part in ('households', 'members')),
    row_number bigint not null,
    household_id text collate "C",
    field text not null,
    value_masked text not null,
    reason text not null,
    primary key (snapshot_id, part, row_number)
);

-- Households that share an account, a phone or a person with others, with how many share it;
-- one row for each thing, so that a household with two shared persons has two.
create table snapshot_share (
    household_key bigint not null,
    kind text not null check (kind in ('account', 'phone', 'person')),
    households integer not null check (households > 1)
);
create index snapshot_share_household on snapshot_share (household_key);
