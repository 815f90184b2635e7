-- Above an amount a run takes two approvers: the first is noted, the second approves.
alter table run
    add column first_approver text references operator (name),
    add constraint run_two_approvers check (first_approver is null or approved_by is null or first_approver <> approved_by),
    add constraint run_first_approver_apart check (first_approver is null or first_approver not in (created_by, submitted_by));
