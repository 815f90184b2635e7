-- One payee, by registry number or identity card, in several households.
alter table snapshot_share drop constraint snapshot_share_kind_check,
    add constraint snapshot_share_kind_check check (kind in ('account', 'phone', 'person', 'payee', 'card'));

-- Codes of exclusion that a list's households bear, in the spelling that codes are compared in.
create table snapshot_code (
    snapshot_id bigint not null references snapshot,
    code text not null,
    households bigint not null check (households > 0),
    primary key (snapshot_id, code)
);
