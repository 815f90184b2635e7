-- Months that a later list puts right, and undue payments that are recovered.

-- One row for each household and month whose due amount a correction run found to differ.
create table correction (
    run_id bigint not null references run,
    household_id text collate "C" not null,
    period integer not null,
    reason text not null,
    was bigint not null check (was >= 0),
    due bigint not null check (due >= 0),
    difference bigint not null,
    order_id bigint,
    components bytea not null,
    primary key (run_id, household_id, period),
    constraint correction_differs check (difference <> 0)
);
comment on column correction.period is 'The month that is put right.';
comment on column correction.was is 'What the household had been found due by then: its order, earlier corrections, what appeals gave back.';
comment on column correction.order_id is 'The order that paid the month, where there is one.';
comment on column correction.components is 'Why the amount that is due now: the lines of the entitlement, compact.';
create index correction_household on correction (household_id, period);

-- An undue payment. What was found, less all that was done about it, is outstanding.
create table recovery_case (
    id bigint primary key generated always as identity,
    programme_id smallint not null references programme,
    household_id text collate "C" not null,
    period integer not null,
    order_id bigint,
    cause text not null,
    origin text not null unique,
    amount bigint not null check (amount > 0),
    offset_amount bigint not null default 0 check (offset_amount >= 0),
    repaid bigint not null default 0 check (repaid >= 0),
    came_back bigint not null default 0 check (came_back >= 0),
    reduced bigint not null default 0 check (reduced >= 0),
    written_off bigint not null default 0 check (written_off >= 0),
    outstanding bigint generated always as (amount - offset_amount - repaid - came_back - reduced - written_off) stored
        check (outstanding >= 0),
    state text not null,
    monthly_max bigint check (monthly_max > 0),
    appeal_stage text,
    appeal_since date,
    appeal_due date,
    proposed_by text references operator (name),
    proposed_at timestamptz,
    proposed_why text,
    opened_by text not null,
    opened_at timestamptz not null,
    constraint recovery_appeal_is_whole check ((appeal_stage is null) = (appeal_since is null)),
    constraint recovery_proposal_is_whole check ((proposed_by is null) = (proposed_at is null) and (proposed_by is null) = (proposed_why is null))
);
create index recovery_case_household on recovery_case (household_id, opened_at, id);
create index recovery_case_waiting on recovery_case (order_id) where state in ('opened', 'recalled');
create index recovery_case_of_order on recovery_case (order_id) where order_id is not null;
comment on column recovery_case.period is 'Month of the undue payment.';
comment on column recovery_case.origin is 'What it was opened for, so that nothing opens it twice.';
comment on column recovery_case.offset_amount is 'Kept back from later orders.';
comment on column recovery_case.came_back is 'The payment itself was recalled or returned.';
comment on column recovery_case.reduced is 'Found not to be owed after all.';
comment on column recovery_case.monthly_max is 'Agreed with the household: most that is kept back in a month.';
comment on column recovery_case.proposed_by is 'Who put its write-off forward; a second person decides.';

-- What an order keeps back for a case. Live as long as the order's run is not cancelled.
create table recovery_instalment (
    order_id bigint not null,
    case_id bigint not null references recovery_case,
    run_id bigint not null references run,
    amount bigint not null check (amount > 0),
    live boolean not null default true,
    primary key (order_id, case_id)
);
create index recovery_instalment_case on recovery_instalment (case_id);
create index recovery_instalment_run on recovery_instalment (run_id);

-- All that was ever done about a case.
create table recovery_step (
    id bigint primary key generated always as identity,
    case_id bigint not null references recovery_case,
    step text not null,
    amount bigint,
    taken_by text not null,
    taken_at timestamptz not null,
    why text not null
);
create index recovery_step_case on recovery_step (case_id, id);
create trigger recovery_step_append_only before update or delete or truncate on recovery_step
    for each statement execute function refuse_change();

-- A month has one correction run, as it has one regular run: its arrears are claims of that month.
create unique index run_one_correction on run (programme_id, period) where kind = 'correction' and state <> 'cancelled';
