-- Orders that are paid again: which order follows which, and what a person put forward.

-- Live as long as the run of the new order is not cancelled. An order has at most one live successor.
create table order_reissue (
    order_id bigint primary key,
    of_order bigint not null,
    run_id bigint not null references run,
    of_provider smallint not null references provider,
    attempt smallint not null check (attempt > 1),
    decision text not null,
    was text not null check (was in ('rejected', 'returned', 'expired')),
    amount bigint not null,
    live boolean not null default true
);
create unique index order_reissue_once on order_reissue (of_order) where live;
create index order_reissue_run on order_reissue (run_id);
comment on column order_reissue.order_id is 'The new order: the same claim, the next attempt.';
comment on column order_reissue.was is 'Where the earlier order stood: it goes back there when the run is cancelled.';

-- Orders that the policy leaves to an operator, put forward by one: the next reissue run takes them.
create table reissue_request (
    order_id bigint primary key,
    why text not null,
    put_by text not null references operator (name),
    put_at timestamptz not null
);

-- Step 13: reissued. Orders that ended unpaid are few; they are found without passing over all steps.
create index outcome_ended on outcome (order_id, step) where step >= 9;
