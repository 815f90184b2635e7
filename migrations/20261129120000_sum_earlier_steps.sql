-- Steps of orders, and what households share, from before sums were kept: they are summed now, as they are. A group that has a sum
-- already is left alone.
insert into journal (change, relation, key, action, rows, total)
select journal_change(), 'outcome', g.key, 'sum', g.rows, g.total
  from (select (x.order_id >> 32) || '/' || x.message_id as key, count(*) as rows, sum(outcome_hash(x)) as total from outcome x group by 1) g
 where not exists (select from journal j where j.relation = 'outcome' and j.action = 'sum' and j.key = g.key);

insert into journal (change, relation, key, action, rows, total)
select journal_change(), 'snapshot_share', g.key, 'sum', g.rows, g.total
  from (select (s.household_key >> 32)::text as key, count(*) as rows,
               sum(('x' || encode(substr(sha256(int8send(s.household_key) || convert_to(s.kind, 'UTF8') || int4send(s.households)), 1, 8), 'hex'))::bit(64)::bigint) as total
          from snapshot_share s group by 1) g
 where not exists (select from journal j where j.relation = 'snapshot_share' and j.action = 'sum' and j.key = g.key);
