//! Reader of camt.086, versions .01 to .05.
//!
//! Input: XML through the hardened base. Output: the message's id, then one item for each billing statement. Guarantee: constant memory.
//! Limit: only the charge of each service (`OrgnlChrgPric`) counts; prices, balances, rates and taxes stated apart are passed over.

use std::io::BufRead;

use super::BillingStatement;
use crate::domain::country;
use crate::domain::money::Centimes;
use crate::iso20022::values::parse_date;
use crate::iso20022::xml::fault::{Limits, Warning, XmlError};
use crate::iso20022::xml::reader::{XmlReader, parse_amount};
use crate::iso20022::xml::table::{Node, Step};

const NAMESPACES: &[&str] = &["camt.086.001."];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Message,
    ReportId,
    Statement,
    Id,
    Status,
    From,
    To,
    Account,
    Service,
    Charge,
    Sign,
}

use Field as F;

const ACCOUNT: Node<F> = Node::path(
    "CshAcct",
    &[Node::path(
        "Id",
        &[
            Node::leaf("IBAN", F::Account),
            Node::path("Othr", &[Node::leaf("Id", F::Account)], &["SchmeNm", "Issr"]),
        ],
        &[],
    )],
    &["Tp", "Ccy", "Nm", "Prxy"],
);

const SERVICE: Node<F> = Node::group(
    "Svc",
    F::Service,
    &[Node::path("OrgnlChrgPric", &[Node::leaf("Amt", F::Charge), Node::leaf("Sgn", F::Sign)], &[])],
    &[
        "SvcDtl",
        "Pric",
        "PmtMtd",
        "OrgnlChrgSttlmAmt",
        "BalReqrdAcctAmt",
        "BalReqrdSttlmAmt",
        "BalReqrdBalAmt",
        "TaxDsgnt",
        "TaxClctnMtd",
    ],
);

static TOP: Node<F> = Node::path(
    "",
    &[Node::group(
        "BkSvcsBllgStmt",
        F::Message,
        &[
            Node::path("RptHdr", &[Node::leaf("RptId", F::ReportId)], &["MsgPgntn"]),
            Node::path(
                "BllgStmtGrp",
                &[Node::group(
                    "BllgStmt",
                    F::Statement,
                    &[
                        Node::leaf("StmtId", F::Id),
                        Node::path("FrToDt", &[Node::leaf("FrDt", F::From), Node::leaf("ToDt", F::To)], &[]),
                        Node::leaf("Sts", F::Status),
                        Node::path(
                            "AcctChrtcs",
                            &[ACCOUNT],
                            &[
                                "AcctLvl",
                                "AcctSvcr",
                                "PrntAcct",
                                "CompstnMtd",
                                "DbtAcct",
                                "DelydDbtDt",
                                "SttlmAdvc",
                                "AcctBalCcyCd",
                                "SttlmCcyCd",
                                "HstCcyCd",
                                "Tax",
                                "AcctSvcrCtct",
                            ],
                        ),
                        SERVICE,
                    ],
                    &[
                        "CreDtTm",
                        "RateData",
                        "CcyXchg",
                        "Bal",
                        "Compstn",
                        "TaxRgn",
                        "BalAdjstmnt",
                        "SvcAdjstmnt",
                    ],
                )],
                &["GrpId", "Sndr", "Rcvr"],
            ),
        ],
        &[],
    )],
    &[],
);

/// What was read.
#[derive(Debug)]
pub enum Camt086Item<'a> {
    /// Id of the report.
    Header(&'a str),
    /// A statement, whole.
    Statement(&'a BillingStatement),
}

/// Reads a report of billing statements.
pub struct Camt086Reader<R> {
    xml: XmlReader<R, F>,
    id: String,
    statement: BillingStatement,
    charge: Option<Centimes>,
    gives_back: bool,
}

impl<R: BufRead> Camt086Reader<R> {
    /// Starts reading; give it a buffer of 64 KiB or more.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self {
            xml: XmlReader::new(reader, limits, &TOP),
            id: String::new(),
            statement: BillingStatement::default(),
            charge: None,
            gives_back: false,
        }
    }

    /// The next item, or `None` once the message is complete.
    ///
    /// # Errors
    /// The file is refused.
    #[allow(clippy::should_implement_trait, reason = "the item borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Camt086Item<'_>>, XmlError> {
        loop {
            match self.xml.step()? {
                Step::Leaf(F::ReportId) => {
                    self.xml.copy_text("RptId", 35, &mut self.id);
                    return Ok(Some(Camt086Item::Header(&self.id)));
                }
                Step::Leaf(field) => self.leaf(field),
                Step::Open(F::Message) => self.xml.check_namespace(NAMESPACES),
                Step::Open(F::Statement) => self.statement = BillingStatement::default(),
                Step::Open(F::Service) => (self.charge, self.gives_back) = (None, false),
                Step::Close(F::Service) => self.count(),
                Step::Close(F::Statement) => return Ok(Some(Camt086Item::Statement(&self.statement))),
                Step::Open(_) | Step::Close(_) => {}
                Step::End => return Ok(None),
            }
        }
    }

    /// How many messages the file holds, once it was read to its end.
    pub fn messages(&self) -> u32 {
        self.xml.messages()
    }

    /// Oddities met so far.
    pub fn warnings(&self) -> &[Warning] {
        self.xml.warnings()
    }

    /// How many oddities found no room in the list.
    pub fn warnings_dropped(&self) -> u64 {
        self.xml.warnings_dropped()
    }

    fn leaf(&mut self, field: Field) {
        let (xml, statement) = (&mut self.xml, &mut self.statement);
        match field {
            F::Id => xml.copy_text("StmtId", 35, &mut statement.id),
            F::Status => xml.copy_text("Sts", 4, &mut statement.status),
            F::From => statement.from = xml.parse_text("FrDt", parse_date),
            F::To => statement.to = xml.parse_text("ToDt", parse_date),
            F::Account => xml.copy_text("CshAcct", 34, &mut statement.account),
            F::Charge => {
                let ours = xml.currency().is_empty() || xml.currency() == country::currency();
                self.charge = parse_amount(xml.text()).ok().filter(|_| ours);
                statement.unreadable |= self.charge.is_none();
            }
            F::Sign => self.gives_back = matches!(xml.text(), "false" | "0"),
            F::Message | F::ReportId | F::Statement | F::Service => {}
        }
    }

    fn count(&mut self) {
        self.statement.services += 1;
        let charge = self.charge.unwrap_or_default();
        let charged = self.statement.charged;
        self.statement.charged = if self.gives_back { charged - charge } else { charged + charge };
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn service(amount: &str, sign: &str) -> String {
        format!(
            "<Svc><SvcDtl><BkSvc><Id>P</Id></BkSvc><Vol>2</Vol></SvcDtl><OrgnlChrgPric><Amt Ccy=\"MAD\">{amount}</Amt>{sign}</OrgnlChrgPric></Svc>"
        )
    }

    fn read(services: &str) -> (String, BillingStatement) {
        let text = format!(
            "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.086.001.01\"><BkSvcsBllgStmt><RptHdr><RptId>R1</RptId></RptHdr>\
             <BllgStmtGrp><GrpId>G</GrpId><BllgStmt><StmtId>S1</StmtId><FrToDt><FrDt>2026-11-01</FrDt><ToDt>2026-11-30</ToDt></FrToDt>\
             <Sts>ORGN</Sts><AcctChrtcs><CshAcct><Id><Othr><Id>801810000000000000910021</Id></Othr></Id></CshAcct></AcctChrtcs>\
             {services}</BllgStmt></BllgStmtGrp></BkSvcsBllgStmt></Document>"
        );
        let mut reader = Camt086Reader::new(text.as_bytes(), Limits::default());
        let (mut id, mut found) = (String::new(), None);
        while let Some(item) = reader.next().unwrap() {
            match item {
                Camt086Item::Header(header) => id = header.to_owned(),
                Camt086Item::Statement(statement) => found = Some(statement.clone()),
            }
        }
        (id, found.unwrap())
    }

    #[test]
    fn charges_are_summed_and_what_is_given_back_is_taken_off() {
        let (id, statement) = read(
            &(service("16.00", "")
                + &service("8.00", "<Sgn>true</Sgn>")
                + &service("4.00", "<Sgn>false</Sgn>")),
        );
        let expected = BillingStatement {
            id: "S1".into(),
            status: "ORGN".into(),
            account: "801810000000000000910021".into(),
            from: Some(date!(2026 - 11 - 01)),
            to: Some(date!(2026 - 11 - 30)),
            services: 3,
            charged: Centimes::new(2_000),
            unreadable: false,
        };
        assert_eq!((id.as_str(), statement), ("R1", expected));
    }

    #[test]
    fn what_cannot_be_counted_is_told() {
        assert!(read(&service("1,5", "")).1.unreadable);
        assert!(read(&service("1.50", "").replace("MAD", "EUR")).1.unreadable);
        assert_eq!(read("").1.services, 0);
    }
}
