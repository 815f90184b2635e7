-- New accounts and phones are searched for among changes too, and changes that come with too many others are marked.
alter table household_change add column thing text;
alter table household_change add column commune text;
alter table household_change add column unusual text check (unusual in ('sender', 'commune'));
comment on column household_change.thing is 'Personal: a hash of the new account or phone, by which it is found again; empty for other changes and those from before.';
comment on column household_change.commune is 'Place of the household in the list by which the change was taken.';
comment on column household_change.unusual is 'What there were too many changes of when this one came: its household''s orders are held.';
create index household_change_thing on household_change (programme_id, thing) where thing is not null;
create index event_account_received on event (received_at) where kind = 'account';
