-- People who were removed; and what a second person confirms: tokens for events, holds that are let go after submission.
alter table operator add column removed_by text references operator (name);
alter table operator add column removed_at timestamptz;
alter table operator add constraint operator_removal_is_whole check ((removed_by is null) = (removed_at is null));
comment on column operator.active is 'False once a person was removed: nothing is done in their name any more.';

alter table api_token add column confirmed_by text references operator (name);
alter table api_token add column confirmed_at timestamptz;
alter table api_token add constraint api_token_confirmed_by_another check (confirmed_by <> created_by);
alter table api_token add constraint api_token_confirmation_is_whole check ((confirmed_by is null) = (confirmed_at is null));
comment on column api_token.confirmed_by is 'A token for events is good once another person has confirmed it.';

create table hold_release (
    id bigint primary key generated always as identity,
    order_id bigint not null,
    -- The reasons that were open when it was proposed: what is confirmed is to let exactly these go.
    reasons text not null,
    why text not null,
    proposed_by text not null references operator (name),
    proposed_at timestamptz not null,
    confirmed_by text references operator (name),
    confirmed_at timestamptz,
    withdrawn_by text references operator (name),
    withdrawn_at timestamptz,
    constraint hold_release_by_another check (confirmed_by <> proposed_by),
    constraint hold_release_confirmation_is_whole check ((confirmed_by is null) = (confirmed_at is null)),
    constraint hold_release_withdrawal_is_whole check ((withdrawn_by is null) = (withdrawn_at is null)),
    constraint hold_release_ends_once check (confirmed_by is null or withdrawn_by is null)
);
create unique index hold_release_open on hold_release (order_id) where confirmed_at is null and withdrawn_at is null;
create index hold_release_order on hold_release (order_id);
comment on table hold_release is 'A hold that is let go after its run was funded: proposed by one person, confirmed by another.';
