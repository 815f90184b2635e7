-- Where a file on its way stands, said once: whether its provider answered, by the file or by a single order of it, and whether its run
-- is paused. A recall leaves a paused run: it stops payments.
create view delivery as
select d.id, d.provider_id, d.file_name, d.kind, coalesce(b.run_id, c.run_id) as run_id, d.batch_id, d.sha256, d.bytes, d.travels_sha256,
       d.travels_bytes, d.state, d.waits_since, d.tries, d.fault, d.stop_reason, d.host, d.delivered_at,
       case when b.id is null then c.state not in ('requested', 'sent')
            else b.state not in ('dispatching', 'sent') or b.outcomes > 0 end as answered,
       coalesce(b.state, c.state) as of_state,
       b.id is not null and r.paused as paused
  from file_delivery d
       left join batch b on b.id = d.batch_id
       left join recall c on c.id = d.recall_id
       join run r on r.id = coalesce(b.run_id, c.run_id);
