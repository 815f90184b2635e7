-- What a person needs to ask the bank about an entry: account, statement, the bank's references, the references given, its
-- words and days. Personal: passes through the codec.
alter table break add column source bytea;
comment on column break.source is 'What a person needs to ask the bank about the entry, as the bank calls it.';
