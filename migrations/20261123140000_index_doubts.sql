-- Households whose payee is in doubt are asked for by each run, release and event.
alter table break add column household_id text collate "C";
comment on column break.household_id is 'Whose payee is in doubt; empty for breaks of the books.';
create index break_doubt on break (household_id) where kind = 'payee_in_doubt' and resolved_at is null;
