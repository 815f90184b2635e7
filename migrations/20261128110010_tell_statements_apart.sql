-- A statement is told apart by account, reference, page and period (or the year, where a bank begins again with it); one of
-- which nothing was taken shuts out nothing.

drop index statement_once;
alter table statement add column page bigint;
alter table statement add column created_on date;
alter table statement add column taken boolean not null default true;
alter table statement add column replaced_by bigint references message;
comment on column statement.taken is 'Whether anything of it was taken: orders, files, or money.';
comment on column statement.replaced_by is 'The message of the same statement that was read after this one, of which nothing was taken.';
create index statement_reference on statement (provider_id, reference);

alter table message add column documents bigint not null default 1;
comment on column message.documents is 'How many messages the file holds that it came in.';
