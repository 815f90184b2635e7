-- Breaks are decided step by step: above a limit a resolution is proposed by one person and confirmed by another; what is
-- resolved can be opened again; money that a break keeps in suspense is posted out with its resolution.

alter table break add column suspense bigint not null default 0;
alter table break add column posted_to text check (posted_to in ('written_off', 'bank_claim', 'explained'));
alter table break add column proposed_by text references operator (name);
alter table break add column proposed_at timestamptz;
alter table break add column proposed_why text;
alter table break add column proposed_post text check (proposed_post in ('written_off', 'bank_claim'));
alter table break add column confirmed_by text references operator (name);
comment on column break.suspense is 'What of the amount the break put into suspense: above zero went out of the account, below came in.';
comment on column break.posted_to is 'Where that money went with the resolution; explained: to the orders that later feedback named.';

-- The debit that waits for its settlement file is known; what else stood in suspense before breaks kept their part gets a
-- break of its own, so that nothing stands there without one.
update break set suspense = amount where kind = 'settlement_missing' and resolved_at is null and amount is not null;
insert into break (kind, dedup_key, provider_id, amount, suspense, detail, opened_at)
select 'unknown_reference', 'provider ' || a.provider_id || ' suspense before', a.provider_id, abs(a.balance - k.kept),
       a.balance - k.kept, 'stood in suspense before each break kept its own part', now()
  from ledger_account a
  cross join lateral (select coalesce(sum(b.suspense), 0)::bigint as kept from break b where b.provider_id = a.provider_id) k
 where a.kind = 'suspense' and a.balance <> k.kept;

alter table break add constraint break_proposal_whole
    check ((proposed_by is null) = (proposed_at is null) and (proposed_by is null) = (proposed_why is null));
alter table break add constraint break_confirmed_by_another check (confirmed_by <> resolved_by);
alter table break add constraint break_resolved_leaves_no_suspense
    check ((resolved_at is not null and suspense <> 0) = (posted_to is not null));

-- Every step that somebody took, by name; what follows by rule is taken by sarf.
create table break_step (
    id bigint primary key generated always as identity,
    break_id bigint not null references break,
    step text not null check (step in ('resolved', 'proposed', 'confirmed', 'reopened', 'explained', 'found_again')),
    taken_by text not null,
    taken_at timestamptz not null,
    why text not null,
    post text
);
create index break_step_break on break_step (break_id, id);
create trigger break_step_append_only before update or delete or truncate on break_step
    for each statement execute function refuse_change();

insert into break_step (break_id, step, taken_by, taken_at, why)
select id, case when resolved_by = 'sarf' then 'explained' else 'resolved' end, coalesce(resolved_by, 'sarf'), resolved_at,
       coalesce(resolution, '')
  from break where resolved_at is not null order by id;
