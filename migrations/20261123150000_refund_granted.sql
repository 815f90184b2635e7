-- A complaint may be granted after something was kept back or repaid: a correction run pays it out.
alter table recovery_case
    add column to_refund bigint not null default 0 check (to_refund >= 0),
    add column refunded bigint not null default 0 check (refunded >= 0),
    add constraint recovery_refund_was_taken check (to_refund <= offset_amount + repaid);
comment on column recovery_case.to_refund is 'Granted to the household out of what was kept back or repaid, and not ordered yet.';
comment on column recovery_case.refunded is 'The same, ordered.';
create index recovery_case_refund on recovery_case (household_id, id) where to_refund > 0;

-- What an order refunds of a case. Live as long as the order's run is not cancelled.
create table recovery_refund (
    order_id bigint not null,
    case_id bigint not null references recovery_case,
    run_id bigint not null references run,
    amount bigint not null check (amount > 0),
    live boolean not null default true,
    primary key (order_id, case_id)
);
create index recovery_refund_case on recovery_refund (case_id);
create index recovery_refund_run on recovery_refund (run_id);
