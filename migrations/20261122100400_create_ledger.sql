-- Double entry in centimes. A transfer debits one account and credits another by the same amount: the books cannot be
-- out of balance. Transfers are never changed or taken away; kept balances follow them by trigger.

create table ledger_account (
    id bigint primary key generated always as identity,
    programme_id smallint not null references programme,
    budget_year integer,
    run_id bigint references run,
    provider_id smallint references provider,
    kind text not null,
    balance bigint not null default 0,
    unique nulls not distinct (programme_id, budget_year, run_id, provider_id, kind)
);
comment on column ledger_account.balance is 'Debits less credits, centimes.';

create table ledger_transfer (
    id bigint primary key generated always as identity,
    debit_account bigint not null references ledger_account,
    credit_account bigint not null references ledger_account,
    amount bigint not null check (amount > 0),
    why text not null,
    batch_id bigint references batch,
    message_id bigint references message,
    posted_at timestamptz not null,
    check (debit_account <> credit_account)
);

create view ledger_posting as
select id as transfer_id, debit_account as account_id, amount, why, posted_at from ledger_transfer
union all
select id, credit_account, -amount, why, posted_at from ledger_transfer;

create function ledger_transfer_keeps_balances() returns trigger language plpgsql as $$
begin
    -- One ordered pass, so that two writers take the account rows in the same order.
    perform 1 from ledger_account a
      where a.id in (select debit_account from posted union select credit_account from posted)
      order by a.id for update;
    update ledger_account a set balance = a.balance + d.amount
      from (select account_id, sum(amount) as amount
              from (select debit_account as account_id, amount from posted
                    union all select credit_account, -amount from posted) p
             group by account_id) d
     where a.id = d.account_id;
    return null;
end $$;
create trigger ledger_transfer_posted after insert on ledger_transfer
    referencing new table as posted for each statement execute function ledger_transfer_keeps_balances();

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'table % is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger ledger_transfer_append_only before update or delete or truncate on ledger_transfer
    for each statement execute function refuse_change();

-- Balances move only inside the trigger above: depth 1 is a statement of the client's own.
create function refuse_direct_balance() returns trigger language plpgsql as $$
begin
    if pg_trigger_depth() < 2 then
        raise exception 'balances follow transfers' using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger ledger_account_guarded before update or delete on ledger_account
    for each row execute function refuse_direct_balance();
create function refuse_opening_balance() returns trigger language plpgsql as $$
begin
    if new.balance <> 0 then
        raise exception 'an account opens with nothing' using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger ledger_account_opens_empty before insert on ledger_account
    for each row execute function refuse_opening_balance();

-- The audit chain: each record carries the hash of the one before.
create table audit (
    sequence bigint primary key,
    at timestamptz not null,
    actor text not null,
    action text not null,
    subject text not null,
    detail text not null,
    previous bytea not null,
    hash bytea not null unique
);
create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function refuse_change();

-- Kept, not counted: how many orders of a run stand where, moved in the transaction that moves the orders.
create table run_total (
    run_id bigint not null references run,
    provider_id smallint not null references provider,
    state text not null,
    orders bigint not null check (orders >= 0),
    amount bigint not null check (amount >= 0),
    primary key (run_id, provider_id, state)
);
