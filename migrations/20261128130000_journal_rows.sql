-- A journal of every row that a decision, a message or a payment is made of: which transaction wrote it, and the hash of the
-- row before and after. Triggers write it, whoever makes the change; the engine vouches in the audit chain for the entries of
-- its own transactions. An entry that nobody vouched for, or a row that is not as its last entry says, is a change by hand.

create sequence journal_change_number;

create table journal (
    id bigint primary key generated always as identity,
    change bigint not null,
    relation text not null,
    key text not null,
    action text not null check (action in ('insert', 'update', 'delete', 'sum', 'adopt')),
    before bytea,
    after bytea,
    rows bigint,
    total numeric
);
create index journal_of_change on journal (change);
create index journal_of_relation on journal (relation, id);
create trigger journal_append_only before update or delete or truncate on journal
    for each statement execute function refuse_change();
comment on column journal.change is 'One number for each transaction; record `change N` of the audit chain holds the hash over its entries.';
comment on column journal.action is 'sum: rows were added to (or taken from) a group that is hashed as a whole; adopt: a new column came into the hash.';
comment on column journal.total is 'Of a sum: the first eight bytes of each row''s SHA-256, added up.';

-- Which columns are in a row's hash.
create table journal_shape (
    relation text primary key,
    keys text[] not null,
    columns text[] not null
);

-- Rows of the large leaves, hashed some hundred at a time in the order they were written.
create table row_block (
    relation text not null,
    owner bigint not null,
    first_key bigint not null,
    last_key bigint not null,
    rows bigint not null,
    sha256 bytea not null check (octet_length(sha256) = 32),
    primary key (relation, owner, first_key)
);
comment on column row_block.owner is 'The run or snapshot whose leaf it is.';

-- The rules that a run was computed with, so that its amounts can be derived again.
create table rule_set (
    sha256 bytea primary key check (octet_length(sha256) = 32),
    programme text not null,
    body text not null,
    check (sha256 = sha256(convert_to(body, 'UTF8')))
);

-- What the configuration put into a file: written again, it is the same bytes, whatever is configured by then.
alter table batch add column made_with jsonb;

-- Decisions of a transaction that is not at its end yet: they go into the chain right before it commits, so that the chain is
-- locked for a moment only. Never a row outside of a transaction.
create table audit_pending (
    id bigint primary key generated always as identity,
    change bigint not null,
    at timestamptz not null,
    actor text not null,
    action text not null,
    subject text not null,
    detail text not null
);

-- The number of this transaction, given when it first asks.
create function journal_change() returns bigint language plpgsql as $$
declare
    given text := nullif(current_setting('sarf.change', true), '');
begin
    if given is null then
        given := nextval('journal_change_number')::text;
        perform set_config('sarf.change', given, true);
    end if;
    return given::bigint;
end $$;

-- A row of `outcome`, hashed the way the engine hashes what it sends by COPY: numbers, then each text with whether it is there and
-- its length.
create function outcome_text(value text) returns bytea language sql immutable parallel safe as $$
    select case when value is null then '\x0000000000'::bytea
                else '\x01'::bytea || int4send(octet_length(convert_to(value, 'UTF8'))) || convert_to(value, 'UTF8') end
$$;
create function outcome_hash(x outcome) returns bigint language sql immutable parallel safe as $$
    select ('x' || encode(substr(sha256(int8send(x.order_id) || int2send(x.step) || int8send(x.message_id)
        || outcome_text(x.reason) || outcome_text(x.told)), 1, 8), 'hex'))::bit(64)::bigint
$$;

-- Steps come by COPY and are summed by whoever sends them; what is changed or taken away is summed here.
create function journal_of_outcome() returns trigger language plpgsql as $$
begin
    insert into journal (change, relation, key, action, rows, total)
    select journal_change(), 'outcome', (o.order_id >> 32) || '/' || o.message_id, 'sum', -count(*),
           -sum(outcome_hash(o))
      from old_rows o group by 3;
    if tg_op = 'UPDATE' then
        insert into journal (change, relation, key, action, rows, total)
        select journal_change(), 'outcome', (n.order_id >> 32) || '/' || n.message_id, 'sum', count(*),
               sum(outcome_hash(n))
          from new_rows n group by 3;
    end if;
    return null;
end $$;
create trigger journal_update after update on outcome referencing old table as old_rows new table as new_rows
    for each statement execute function journal_of_outcome();
create trigger journal_delete after delete on outcome referencing old table as old_rows
    for each statement execute function journal_of_outcome();

-- Columns that are left out of a row's hash: what is counted again, and what a lease moves.
create function journal_skips(relation text) returns text[] language sql immutable as $$
    select case relation when 'ledger_account' then array['balance']
                         when 'shard' then array['next_order', 'done', 'not_before', 'worker', 'fence', 'leased_until']
                         else array[]::text[] end
$$;

-- Puts triggers on every table that has none, and takes new columns into the hash. Left out: the journal and the chain, queues
-- and positions that are used up, totals that are counted again, and leaves, which are hashed by block.
create function journal_install() returns integer language plpgsql set timezone = 'UTC' set bytea_output = 'hex' as $install$
declare
    t record; shape journal_shape; key_of text; hash_of text; old_hash text; done integer := 0;
begin
    for t in
        select c.oid, c.relname::text as name,
               array(select a.attname::text from pg_index i
                       cross join unnest(i.indkey) with ordinality as k(n, place)
                       join pg_attribute a on a.attrelid = c.oid and a.attnum = k.n
                      where i.indrelid = c.oid and i.indisprimary order by k.place) as keys,
               array(select a.attname::text from pg_attribute a
                      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                        and a.attname::text <> all (journal_skips(c.relname::text)) order by 1) as columns,
               (select count(*) from pg_trigger g where g.tgrelid = c.oid and g.tgname in ('journal_insert', 'journal_update', 'journal_delete')
                   and g.tgenabled = 'O') = 3 as guarded
          from pg_class c
         where c.relkind = 'r' and not c.relispartition and c.relnamespace = current_schema()::regnamespace
           and c.relname not in ('journal', 'audit', 'audit_pending', '_sqlx_migrations', 'outbox', 'outbox_switch', 'lease', 'pace',
                                 'enquiry', 'change_cursor', 'upload', 'upload_piece', 'run_total')
           and exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
         order by c.relname <> 'journal_shape', c.relname
    loop
        select * into shape from journal_shape s where s.relation = t.name;
        continue when t.guarded and shape.columns = t.columns;
        done := done + 1;
        select string_agg(format('r.%I', k), ', ') into key_of from unnest(t.keys) as k;
        key_of := format('concat_ws(''/'', %s)', key_of);
        hash_of := format('(to_jsonb(r) - %L::text[])', journal_skips(t.name)::text);
        execute format($f$
            create or replace function %1$I() returns trigger language plpgsql set timezone = 'UTC' set bytea_output = 'hex' as $body$
            declare change_number bigint := journal_change();
            begin
                if tg_op = 'INSERT' then
                    insert into journal (change, relation, key, action, after)
                    select change_number, %2$L, %3$s, 'insert', sha256(convert_to(%4$s::text, 'UTF8')) from new_rows r;
                elsif tg_op = 'DELETE' then
                    insert into journal (change, relation, key, action, before)
                    select change_number, %2$L, %3$s, 'delete', sha256(convert_to(%4$s::text, 'UTF8')) from old_rows r;
                else
                    insert into journal (change, relation, key, action, before, after)
                    select change_number, %2$L, key, 'update', o.hash, n.hash
                      from (select %3$s as key, sha256(convert_to(%4$s::text, 'UTF8')) as hash from old_rows r) o
                      full join (select %3$s as key, sha256(convert_to(%4$s::text, 'UTF8')) as hash from new_rows r) n using (key)
                     where o.hash is distinct from n.hash;
                end if;
                return null;
            end $body$ $f$, 'journal_of_' || t.name, t.name, key_of, hash_of);
        execute format('drop trigger if exists journal_insert on %I', t.name);
        execute format('drop trigger if exists journal_update on %I', t.name);
        execute format('drop trigger if exists journal_delete on %I', t.name);
        execute format('create trigger journal_insert after insert on %I referencing new table as new_rows for each statement execute function %I()',
                       t.name, 'journal_of_' || t.name);
        execute format('create trigger journal_update after update on %I referencing old table as old_rows new table as new_rows for each statement execute function %I()',
                       t.name, 'journal_of_' || t.name);
        execute format('create trigger journal_delete after delete on %I referencing old table as old_rows for each statement execute function %I()',
                       t.name, 'journal_of_' || t.name);
        if shape.relation is null then
            -- Rows from before the journal are taken as they are, once.
            if not exists (select from journal j where j.relation = t.name) then
                execute format('insert into journal (change, relation, key, action, after)
                                select journal_change(), %L, %s, ''adopt'', sha256(convert_to(%s::text, ''UTF8'')) from %I r',
                               t.name, key_of, hash_of, t.name);
            end if;
        elsif shape.columns <> t.columns then
            -- Only a row that was as its last entry said is taken on with its new columns.
            old_hash := case when shape.columns <@ t.columns
                then format('sha256(convert_to((%s - %L::text[])::text, ''UTF8''))', hash_of,
                            array(select unnest(t.columns) except select unnest(shape.columns))::text)
                else 'l.after' end;
            execute format('insert into journal (change, relation, key, action, before, after)
                            select journal_change(), %1$L, l.key, ''adopt'', l.after, sha256(convert_to(%2$s::text, ''UTF8''))
                              from %3$I r
                              join (select distinct on (j.key) j.key, j.after from journal j where j.relation = %1$L order by j.key, j.id desc) l
                                on l.key = %4$s
                             where l.after = %5$s', t.name, hash_of, t.name, key_of, old_hash);
        end if;
        insert into journal_shape as s (relation, keys, columns) values (t.name, t.keys, t.columns)
            on conflict (relation) do update set keys = excluded.keys, columns = excluded.columns where s.* is distinct from excluded.*;
    end loop;
    return done;
end $install$;
