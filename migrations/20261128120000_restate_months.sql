-- What a month is known as, list by list, so that a later list changes only what it says.

-- A list that was heard on the months before its own. What it brought counts unless its run was cancelled.
create table review (
    id bigint primary key generated always as identity,
    programme_id smallint not null references programme,
    snapshot_id bigint not null references snapshot,
    period integer not null,
    months_back smallint not null,
    rules_sha256 bytea not null,
    run_id bigint references run,
    reviewed_by text not null references operator (name),
    reviewed_at timestamptz not null
);
create index review_programme on review (programme_id, snapshot_id);
create index review_run on review (run_id);
comment on column review.run_id is 'The correction run that was made of it; null where nothing differed in money.';

-- A household's facts of a month as they are known since a review: only where the review changed them.
create table restated_month (
    review_id bigint not null references review,
    household_id text collate "C" not null,
    period integer not null,
    flags smallint not null,
    rsu_score bigint not null,
    members_rejected smallint not null,
    excluded_by text,
    members bytea not null,
    primary key (review_id, household_id, period)
);
create index restated_month_household on restated_month (period, household_id);
comment on column restated_month.flags is '1: on the list of the month; 2: its head is resident.';
comment on column restated_month.members is 'Personal: passes through the codec in the store.';

alter table correction add column assessed bigint, add column off_case bigint not null default 0,
    add column facts_kept boolean not null default false;
update correction set assessed = due;
alter table correction alter column assessed set not null, alter column facts_kept set default true,
    add constraint correction_off_case check (off_case >= 0 and off_case <= greatest(difference, 0));
comment on column correction.assessed is 'What the facts give; due is that, with what complaints gave back.';
comment on column correction.off_case is 'What of a difference above zero comes off recovery cases of the same month instead of being paid.';
comment on column correction.facts_kept is 'False for corrections from before the facts of a month were kept: what a list is silent of cannot be told from what it takes back.';

-- A list may be sent again, and a month put right again: one run at a time is under way, see the engine.
drop index run_one_correction;

-- A fact that a later list takes back takes its case back.
alter table recovery_case drop column outstanding;
alter table recovery_case add column reversed bigint not null default 0 check (reversed >= 0);
alter table recovery_case add column outstanding bigint
    generated always as (amount - offset_amount - repaid - came_back - reduced - written_off - reversed) stored check (outstanding >= 0);
comment on column recovery_case.reversed is 'A later list takes back what it was found undue for.';

-- What a correction run takes back of a case. Live as long as the run is not cancelled.
create table recovery_reversal (
    run_id bigint not null references run,
    case_id bigint not null references recovery_case,
    owed bigint not null check (owed >= 0),
    given_up bigint not null check (given_up >= 0),
    was_state text,
    live boolean not null default true,
    primary key (run_id, case_id)
);
create index recovery_reversal_case on recovery_reversal (case_id);
comment on column recovery_reversal.was_state is 'Where the case stood before.';
