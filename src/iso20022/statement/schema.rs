//! The elements of camt.052, camt.053 and camt.054, versions .02 to .08, that the reader looks at.
//!
//! One table for all: a report and a notification differ from a statement in two names and in what they state of balances.

use crate::iso20022::values::MessageKind;
use crate::iso20022::xml::table::Node;

/// The elements of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Message(MessageKind),
    Header,
    MsgId,
    Created,
    Statement,
    StatementId,
    HeaderPage,
    HeaderLastPage,
    StatementPage,
    StatementLastPage,
    StatementCreated,
    ElectronicSequence,
    LegalSequence,
    From,
    To,
    AccountIban,
    AccountOther,
    Balance,
    BalanceCode,
    BalanceAmount,
    BalanceSide,
    BalanceDate,
    Summary,
    AllCount,
    AllSum,
    CreditCount,
    CreditSum,
    DebitCount,
    DebitSum,
    Entry,
    EntryRef,
    EntryAmount,
    EntrySide,
    Reversal,
    EntryStatus,
    BookingDate,
    ValueDate,
    EntryServicerRef,
    Domain,
    Family,
    SubFamily,
    Proprietary,
    Batch,
    BatchMsgId,
    BatchPaymentId,
    BatchCount,
    BatchAmount,
    BatchSide,
    Detail,
    RefMsgId,
    RefServicer,
    RefPaymentId,
    RefInstrId,
    RefEndToEndId,
    RefUetr,
    RefTxId,
    DetailAmount,
    TransactionAmount,
    CounterAmount,
    InstructedAmount,
    DetailSide,
    ReturnDomain,
    ReturnFamily,
    ReturnSubFamily,
    ReturnProprietary,
    ReturnReason,
    ReturnInfo,
    Remittance,
    CreditorReference,
    DetailInfo,
    EntryInfo,
}

use Field as F;

const HEADER: Node<F> = Node::group(
    "GrpHdr",
    F::Header,
    &[
        Node::leaf("MsgId", F::MsgId),
        Node::leaf("CreDtTm", F::Created),
        Node::path(
            "MsgPgntn",
            &[Node::leaf("PgNb", F::HeaderPage), Node::leaf("LastPgInd", F::HeaderLastPage)],
            &[],
        ),
    ],
    &["MsgRcpt", "OrgnlBizQry", "AddtlInf"],
);

const BALANCE: Node<F> = Node::group(
    "Bal",
    F::Balance,
    &[
        Node::path(
            "Tp",
            &[Node::path(
                "CdOrPrtry",
                &[Node::leaf("Cd", F::BalanceCode), Node::leaf("Prtry", F::BalanceCode)],
                &[],
            )],
            &["SubTp"],
        ),
        Node::leaf("Amt", F::BalanceAmount),
        Node::leaf("CdtDbtInd", F::BalanceSide),
        Node::path("Dt", &[Node::leaf("Dt", F::BalanceDate), Node::leaf("DtTm", F::BalanceDate)], &[]),
    ],
    &["CdtLine", "Avlbty"],
);

const SUMMARY: Node<F> = Node::group(
    "TxsSummry",
    F::Summary,
    &[
        Node::path(
            "TtlNtries",
            &[Node::leaf("NbOfNtries", F::AllCount), Node::leaf("Sum", F::AllSum)],
            &["TtlNetNtry", "TtlNetNtryAmt", "CdtDbtInd"],
        ),
        Node::path(
            "TtlCdtNtries",
            &[Node::leaf("NbOfNtries", F::CreditCount), Node::leaf("Sum", F::CreditSum)],
            &[],
        ),
        Node::path(
            "TtlDbtNtries",
            &[Node::leaf("NbOfNtries", F::DebitCount), Node::leaf("Sum", F::DebitSum)],
            &[],
        ),
    ],
    &["TtlNtriesPerBkTxCd"],
);

const BATCH: Node<F> = Node::group(
    "Btch",
    F::Batch,
    &[
        Node::leaf("MsgId", F::BatchMsgId),
        Node::leaf("PmtInfId", F::BatchPaymentId),
        Node::leaf("NbOfTxs", F::BatchCount),
        Node::leaf("TtlAmt", F::BatchAmount),
        Node::leaf("CdtDbtInd", F::BatchSide),
    ],
    &[],
);

const REFERENCES: Node<F> = Node::path(
    "Refs",
    &[
        Node::leaf("MsgId", F::RefMsgId),
        Node::leaf("AcctSvcrRef", F::RefServicer),
        Node::leaf("PmtInfId", F::RefPaymentId),
        Node::leaf("InstrId", F::RefInstrId),
        Node::leaf("EndToEndId", F::RefEndToEndId),
        Node::leaf("UETR", F::RefUetr),
        Node::leaf("TxId", F::RefTxId),
    ],
    &["MndtId", "ChqNb", "ClrSysRef", "AcctOwnrTxId", "AcctSvcrTxId", "MktInfrstrctrTxId", "PrcgId", "Prtry"],
);

const RETURN: Node<F> = Node::path(
    "RtrInf",
    &[
        Node::path(
            "OrgnlBkTxCd",
            &[
                Node::path(
                    "Domn",
                    &[
                        Node::leaf("Cd", F::ReturnDomain),
                        Node::path(
                            "Fmly",
                            &[Node::leaf("Cd", F::ReturnFamily), Node::leaf("SubFmlyCd", F::ReturnSubFamily)],
                            &[],
                        ),
                    ],
                    &[],
                ),
                Node::path("Prtry", &[Node::leaf("Cd", F::ReturnProprietary)], &["Issr"]),
            ],
            &[],
        ),
        Node::path("Rsn", &[Node::leaf("Cd", F::ReturnReason), Node::leaf("Prtry", F::ReturnReason)], &[]),
        Node::leaf("AddtlInf", F::ReturnInfo),
    ],
    &["Orgtr"],
);

const REMITTANCE: Node<F> = Node::path(
    "RmtInf",
    &[
        Node::leaf("Ustrd", F::Remittance),
        Node::path(
            "Strd",
            &[
                Node::path("CdtrRefInf", &[Node::leaf("Ref", F::CreditorReference)], &["Tp"]),
                Node::leaf("AddtlRmtInf", F::Remittance),
            ],
            &["RfrdDocInf", "RfrdDocAmt", "Invcr", "Invcee", "TaxRmt", "GrnshmtRmt"],
        ),
    ],
    &[],
);

const DETAIL: Node<F> = Node::group(
    "TxDtls",
    F::Detail,
    &[
        REFERENCES,
        Node::leaf("Amt", F::DetailAmount),
        Node::leaf("CdtDbtInd", F::DetailSide),
        Node::path(
            "AmtDtls",
            &[
                Node::path("InstdAmt", &[Node::leaf("Amt", F::InstructedAmount)], &["CcyXchg"]),
                Node::path("TxAmt", &[Node::leaf("Amt", F::TransactionAmount)], &["CcyXchg"]),
                Node::path("CntrValAmt", &[Node::leaf("Amt", F::CounterAmount)], &["CcyXchg"]),
            ],
            &["AnncdPstngAmt", "PrtryAmt"],
        ),
        REMITTANCE,
        RETURN,
        Node::leaf("AddtlTxInf", F::DetailInfo),
    ],
    &[
        "Avlbty",
        "BkTxCd",
        "Chrgs",
        "Intrst",
        "RltdPties",
        "RltdAgts",
        "LclInstrm",
        "Purp",
        "RltdRmtInf",
        "RltdDts",
        "RltdPric",
        "RltdQties",
        "FinInstrmId",
        "Tax",
        "CorpActn",
        "SfkpgAcct",
        "CshDpst",
        "CardTx",
        "SplmtryData",
    ],
);

const BANK_CODE: Node<F> = Node::path(
    "BkTxCd",
    &[
        Node::path(
            "Domn",
            &[
                Node::leaf("Cd", F::Domain),
                Node::path(
                    "Fmly",
                    &[Node::leaf("Cd", F::Family), Node::leaf("SubFmlyCd", F::SubFamily)],
                    &[],
                ),
            ],
            &[],
        ),
        Node::path("Prtry", &[Node::leaf("Cd", F::Proprietary)], &["Issr"]),
    ],
    &[],
);

const ENTRY: Node<F> = Node::group(
    "Ntry",
    F::Entry,
    &[
        Node::leaf("NtryRef", F::EntryRef),
        Node::leaf("Amt", F::EntryAmount),
        Node::leaf("CdtDbtInd", F::EntrySide),
        Node::leaf("RvslInd", F::Reversal),
        // Text up to .07, a choice of codes from .08 on.
        Node::either(
            "Sts",
            F::EntryStatus,
            &[Node::leaf("Cd", F::EntryStatus), Node::leaf("Prtry", F::EntryStatus)],
        ),
        Node::path("BookgDt", &[Node::leaf("Dt", F::BookingDate), Node::leaf("DtTm", F::BookingDate)], &[]),
        Node::path("ValDt", &[Node::leaf("Dt", F::ValueDate), Node::leaf("DtTm", F::ValueDate)], &[]),
        Node::leaf("AcctSvcrRef", F::EntryServicerRef),
        BANK_CODE,
        Node::path("NtryDtls", &[BATCH, DETAIL], &[]),
        Node::leaf("AddtlNtryInf", F::EntryInfo),
    ],
    &["Avlbty", "ComssnWvrInd", "AddtlInfInd", "AmtDtls", "Chrgs", "TechInptChanl", "Intrst", "CardTx"],
);

const STATEMENT: &[Node<F>] = &[
    Node::leaf("Id", F::StatementId),
    Node::path(
        "StmtPgntn",
        &[Node::leaf("PgNb", F::StatementPage), Node::leaf("LastPgInd", F::StatementLastPage)],
        &[],
    ),
    Node::leaf("CreDtTm", F::StatementCreated),
    Node::leaf("ElctrncSeqNb", F::ElectronicSequence),
    Node::leaf("LglSeqNb", F::LegalSequence),
    Node::path("FrToDt", &[Node::leaf("FrDtTm", F::From), Node::leaf("ToDtTm", F::To)], &[]),
    Node::path(
        "Acct",
        &[Node::path(
            "Id",
            &[
                Node::leaf("IBAN", F::AccountIban),
                Node::path("Othr", &[Node::leaf("Id", F::AccountOther)], &["SchmeNm", "Issr"]),
            ],
            &[],
        )],
        &["Tp", "Ccy", "Nm", "Prxy", "Ownr", "Svcr"],
    ),
    BALANCE,
    SUMMARY,
    ENTRY,
];

const STATEMENT_KNOWN: &[&str] = &[
    "NtfctnPgntn",
    "RptPgntn",
    "RptgSeq",
    "CpyDplctInd",
    "RptgSrc",
    "RltdAcct",
    "Intrst",
    "AddtlStmtInf",
    "AddtlNtfctnInf",
    "AddtlRptInf",
];

/// Above the three messages.
pub(super) static TOP: Node<F> = Node::path(
    "",
    &[
        Node::group(
            "BkToCstmrStmt",
            F::Message(MessageKind::Camt053),
            &[HEADER, Node::group("Stmt", F::Statement, STATEMENT, STATEMENT_KNOWN)],
            &["SplmtryData"],
        ),
        Node::group(
            "BkToCstmrAcctRpt",
            F::Message(MessageKind::Camt052),
            &[HEADER, Node::group("Rpt", F::Statement, STATEMENT, STATEMENT_KNOWN)],
            &["SplmtryData"],
        ),
        Node::group(
            "BkToCstmrDbtCdtNtfctn",
            F::Message(MessageKind::Camt054),
            &[HEADER, Node::group("Ntfctn", F::Statement, STATEMENT, STATEMENT_KNOWN)],
            &["SplmtryData"],
        ),
    ],
    &[],
);
