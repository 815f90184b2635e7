//! Why an order is held, a household excluded, a payment refused or sent back, an entry unmatched: closed lists, so
//! that reports and metrics stay bounded.

use crate::domain::listed::listed;

listed! {
    /// Why an order is kept back.
    HoldReason {
        /// The key of the RIB does not match its digits.
        RibBadKey = "rib_bad_key",
        /// The account is not a RIB of 24 digits.
        RibMalformed = "rib_malformed",
        /// No provider serves the bank code.
        UnknownBank = "unknown_bank",
        /// No provider serves these means, or the one named is not known.
        NoProvider = "no_provider",
        /// A wallet or cash payment without a phone number.
        PhoneMissing = "phone_missing",
        /// The amount is over what the account may take.
        OverCeiling = "over_ceiling",
        /// The registry knows that the payee died.
        PayeeDeceased = "payee_deceased",
        /// A provider said of an earlier order what throws doubt on the payee, and nobody has cleared it up.
        PayeeInDoubt = "payee_in_doubt",
        /// One account for more households than allowed.
        SharedAccount = "shared_account",
        /// One phone for more households than allowed.
        SharedPhone = "shared_phone",
        /// A person listed in more households than allowed.
        SharedPerson = "shared_person",
        /// A payee, or an identity card, of more households than allowed.
        SharedPayee = "shared_payee",
        /// No name that the provider could be told.
        NameMissing = "name_missing",
        /// A member row was rejected: the amount cannot be relied on.
        MemberRejected = "member_rejected",
        /// The registry told of another account after the order was made.
        AccountChanged = "account_changed",
        /// The registry asked to hold it.
        RegistryHold = "registry_hold",
        /// Word came that an earlier order of the same claim is paid.
        EarlierOrderPaid = "earlier_order_paid",
        /// An open break may mean that its claim is paid: a person decides first.
        ClaimInQuestion = "claim_in_question",
        /// The account of a deposit is not at the deposit holder.
        NotAtDepositHolder = "not_at_deposit_holder",
        /// Another programme, which may not be drawn together with this one, pays the household for the same month.
        OtherProgrammePays = "other_programme_pays",
        /// Its account was changed by an event among more such changes than usual.
        ManyChanges = "many_changes",
        /// A person held it.
        Manual = "manual",
    }
}

listed! {
    /// Why a feedback entry could not be matched, or what reconciliation found.
    BreakKind {
        /// A reference that names no order or batch of ours.
        UnknownReference = "unknown_reference",
        /// The amount is not the order's.
        AmountDiffers = "amount_differs",
        /// The status cannot follow what is known.
        StatusConflict = "status_conflict",
        /// A status or code that is not known here: whether an order is paid may hang on it.
        UnknownStatus = "unknown_status",
        /// The order never left.
        NeverSent = "never_sent",
        /// Money booked a second time for one order.
        BookedTwice = "booked_twice",
        /// The bank took more than the payment, or gave less back.
        BankCharges = "bank_charges",
        /// The entry lacks what is needed to read it.
        FaultyEntry = "faulty_entry",
        /// Totals in the message are not those of its entries.
        TotalsDiffer = "totals_differ",
        /// Opening balance and entries do not give the closing balance.
        BalanceDiffers = "balance_differs",
        /// The opening balance is not the closing balance of the statement before.
        StatementGap = "statement_gap",
        /// The statement covers what another one covers.
        StatementOverlap = "statement_overlap",
        /// A statement with this number was read before.
        StatementRepeated = "statement_repeated",
        /// The debit of a batch is not what its orders come to.
        BatchDiffers = "batch_differs",
        /// Nobody could find out in time whether the provider took it.
        UnknownTooLong = "unknown_too_long",
        /// Money was debited for a settlement whose file has not come.
        SettlementMissing = "settlement_missing",
        /// The fee is not the one agreed.
        FeeDiffers = "fee_differs",
        /// No word of it from the bank.
        MissingAtBank = "missing_at_bank",
        /// Orders came back after their run was closed; they are booked, and somebody has to know.
        LateReturn = "late_return",
        /// A provider gave a reason that a person must look into: the payee died, or fraud is suspected.
        PayeeInDoubt = "payee_in_doubt",
        /// A file could not be brought to its provider, or may have been: a person finds out.
        NotDelivered = "not_delivered",
        /// A message that is not signed or sealed as agreed: nothing of it was applied.
        NotBelieved = "not_believed",
    }
}
