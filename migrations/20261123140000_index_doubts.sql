-- Households whose payee is in doubt are asked for by each run, release and event.
create index break_doubt on break (order_id) where kind = 'payee_in_doubt' and resolved_at is null;
