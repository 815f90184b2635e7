//! The words of the statement of account, in the languages of the call centre. Codes and amounts stay as they are.

use clap::ValueEnum;

/// A language of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English
    En,
    /// Français
    Fr,
    /// العربية
    Ar,
}

/// The words of the statement.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Above it all.
    pub title: &'static str,
    /// In what all tables are.
    pub currency: &'static str,
    /// Headings of payments: month, what for, due, kept back, paid, came back, still to come, undue, order is.
    pub payments: [&'static str; 9],
    /// The last line of payments.
    pub total: &'static str,
    /// Headings of months put right: month, found due, is due, difference, by run.
    pub put_right: [&'static str; 5],
    /// Headings of cases: case, month, undue, outstanding, case is, remark.
    pub cases: [&'static str; 6],
    /// Remark: suspended, overdue.
    pub remarks: [&'static str; 2],
    /// A payment that was made elsewhere.
    pub elsewhere: &'static str,
    /// Terms of the sum: due, undue, paid, came back, repaid, given up.
    pub terms: [&'static str; 6],
    /// Still to come; owed.
    pub sides: [&'static str; 2],
    /// The household will get; the household owes; nothing is open; a granted complaint will give back.
    pub result: [&'static str; 4],
}

const EN: Words = Words {
    title: "statement of account of household",
    currency: "amounts in ¤",
    payments: [
        "month",
        "for",
        "due",
        "kept back",
        "paid",
        "came back",
        "still to come",
        "found undue",
        "order is",
    ],
    total: "total",
    put_right: ["month put right", "had been found due", "is due", "difference", "by run"],
    cases: ["case", "month", "undue", "outstanding", "case is", ""],
    remarks: ["suspended by a complaint", "our answer is overdue"],
    elsewhere: "paid elsewhere",
    terms: ["due", "undue", "paid", "came back", "repaid", "given up"],
    sides: ["still to come", "owed"],
    result: [
        "the household still gets",
        "the household owes",
        "nothing is open",
        "granted, to be ordered next",
    ],
};

const FR: Words = Words {
    title: "relevé de compte du ménage",
    currency: "montants en ¤",
    payments: [
        "mois",
        "au titre de",
        "dû",
        "retenu",
        "payé",
        "retourné",
        "à venir",
        "trop-perçu",
        "état de l’ordre",
    ],
    total: "total",
    put_right: ["mois régularisé", "était dû", "est dû", "différence", "campagne"],
    cases: ["dossier", "mois", "trop-perçu", "reste à recouvrer", "état du dossier", ""],
    remarks: ["suspendu par une réclamation", "notre réponse est en retard"],
    elsewhere: "payé ailleurs",
    terms: ["dû", "trop-perçu", "payé", "retourné", "remboursé", "abandonné"],
    sides: ["à venir", "à rembourser"],
    result: ["le ménage recevra encore", "le ménage doit", "le compte est soldé", "accordé, à ordonner"],
};

const AR: Words = Words {
    title: "كشف حساب الأسرة",
    currency: "المبالغ بالدرهم",
    payments: [
        "الشهر",
        "برسم",
        "المستحق",
        "المقتطع",
        "المؤدى",
        "المرجع",
        "قيد الأداء",
        "غير المستحق",
        "حالة الأمر",
    ],
    total: "المجموع",
    put_right: ["الشهر المسوى", "المستحق سابقا", "المستحق حاليا", "الفرق", "العملية"],
    cases: ["الملف", "الشهر", "غير المستحق", "الباقي استرجاعه", "حالة الملف", ""],
    remarks: ["موقوف بسبب شكاية", "تأخر جوابنا"],
    elsewhere: "مؤدى خارج النظام",
    terms: ["المستحق", "غير المستحق", "المؤدى", "المرجع", "المسدد", "المتنازل عنه"],
    sides: ["قيد الأداء", "الواجب استرجاعه"],
    result: ["ستتوصل الأسرة بمبلغ", "على الأسرة إرجاع مبلغ", "لا شيء عالق", "مبلغ مقبول سيؤدى لاحقا"],
};

impl Lang {
    /// The words of a language.
    pub const fn words(self) -> Words {
        match self {
            Self::En => EN,
            Self::Fr => FR,
            Self::Ar => AR,
        }
    }
}
