-- All reasons that a bank or provider gave, with their texts, as they were sent; reason is the code of them that decides.

alter table outcome add column told text;
comment on column outcome.told is 'All reasons and texts given, as they were sent.';
alter table batch_event add column told text;
comment on column batch_event.told is 'All reasons and texts given for the whole file, as they were sent.';
