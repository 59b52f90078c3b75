//! Receipts in the bank's words.

use serde_json::{Value, json};

use crate::fiscal::{
    AgentKind, FfdVersion, FiscalReceipt, Measure, PaymentMethod, PaymentSubject, ReceiptItem,
    ReceiptRecipient, Settlement, TaxSystem, Vat,
};

const fn tax(vat: Vat) -> &'static str {
    match vat {
        Vat::None => "none",
        Vat::Vat0 => "vat0",
        Vat::Vat5 => "vat5",
        Vat::Vat7 => "vat7",
        Vat::Vat10 => "vat10",
        Vat::Vat20 => "vat20",
        Vat::Vat22 => "vat22",
        Vat::Vat105 => "vat105",
        Vat::Vat107 => "vat107",
        Vat::Vat110 => "vat110",
        Vat::Vat120 => "vat120",
        Vat::Vat122 => "vat122",
    }
}

const fn method(method: PaymentMethod) -> &'static str {
    match method {
        PaymentMethod::FullPrepayment => "full_prepayment",
        PaymentMethod::Prepayment => "prepayment",
        PaymentMethod::Advance => "advance",
        PaymentMethod::FullPayment => "full_payment",
        PaymentMethod::PartialPayment => "partial_payment",
        PaymentMethod::Credit => "credit",
        PaymentMethod::CreditPayment => "credit_payment",
    }
}

const fn object(subject: PaymentSubject) -> &'static str {
    match subject {
        PaymentSubject::Service => "service",
        PaymentSubject::Commodity => "commodity",
        PaymentSubject::Job => "job",
        PaymentSubject::Excise => "excise",
        PaymentSubject::Payment => "payment",
        PaymentSubject::AgentCommission => "agent_commission",
        PaymentSubject::MarkedGoods => "goods_with_marking_code",
        PaymentSubject::Another => "another",
    }
}

const fn unit(measure: Measure) -> &'static str {
    match measure {
        Measure::Piece => "шт",
        Measure::Kilogram => "кг",
        Measure::Hour => "ч",
        Measure::Day => "сут",
        Measure::Minute => "мин",
    }
}

const fn sign(kind: AgentKind) -> &'static str {
    match kind {
        AgentKind::BankPaymentAgent => "bank_paying_agent",
        AgentKind::BankPaymentSubagent => "bank_paying_subagent",
        AgentKind::PaymentAgent => "paying_agent",
        AgentKind::PaymentSubagent => "paying_subagent",
        AgentKind::Attorney => "attorney",
        AgentKind::Commissioner => "commission_agent",
        AgentKind::Agent => "another",
    }
}

const fn taxation(system: TaxSystem) -> &'static str {
    match system {
        TaxSystem::General => "osn",
        TaxSystem::SimplifiedIncome => "usn_income",
        TaxSystem::SimplifiedIncomeLessExpenses => "usn_income_outcome",
        TaxSystem::Patent => "patent",
        TaxSystem::Agricultural => "esn",
    }
}

/// A quantity as the number that JSON has for it: `1.5`.
fn number(decimal: &str) -> Value {
    serde_json::from_str(decimal).unwrap_or_else(|_| decimal.into())
}

fn item(line: &ReceiptItem, ffd: FfdVersion) -> Value {
    let mut item = json!({
        "Name": line.subject.description, "Price": line.price.minor, "Quantity": number(&line.quantity.decimal()),
        "Amount": line.total.minor, "Tax": tax(line.vat), "PaymentMethod": method(line.method),
        "PaymentObject": object(line.subject.subject),
    });
    if ffd == FfdVersion::V12 {
        item["MeasurementUnit"] = unit(line.subject.measure).into();
    }
    if let Some(agent) = &line.subject.agent {
        item["AgentData"] = json!({ "AgentSign": sign(agent.kind) });
        item["SupplierInfo"] = json!({
            "Phones": [agent.supplier.phone.expose()], "Name": agent.supplier.name, "Inn": agent.supplier.inn,
        });
    }
    if let Some(code) = &line.subject.marking {
        // As the scanner has read it.
        item["MarkCode"] = json!({ "MarkCodeType": "RAWCODE", "Value": code });
        item["MarkProcessingMode"] = "0".into();
    }
    item
}

/// The object `Receipt`. Amounts are kopecks.
pub(super) fn receipt(receipt: &FiscalReceipt) -> Value {
    let ffd = match receipt.ffd {
        FfdVersion::V105 => "1.05",
        FfdVersion::V12 => "1.2",
    };
    let items: Vec<Value> = receipt.items.iter().map(|line| item(line, receipt.ffd)).collect();
    let mut object = json!({ "FfdVersion": ffd, "Items": items });
    if let Some(system) = receipt.tax_system {
        object["Taxation"] = taxation(system).into();
    }
    match &receipt.recipient {
        ReceiptRecipient::Email(email) => object["Email"] = email.expose().into(),
        ReceiptRecipient::Phone(phone) => object["Phone"] = phone.expose().into(),
    }
    if receipt.settlement == Settlement::Prepayment {
        let total: i64 = receipt.items.iter().map(|line| line.total.minor).sum();
        object["Payments"] = json!({ "Electronic": 0, "AdvancePayment": total });
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fiscal::{Agent, Quantity, Subject, Supplier};
    use crate::{Currency, Money};

    #[test]
    fn a_receipt_in_the_banks_words() {
        let rub = |minor| Money::new(minor, Currency::RUB);
        let supplier = Supplier {
            name: "Example LLC".into(),
            phone: "+79000000000".parse().unwrap(),
            inn: "7700000000".into(),
        };
        let subject = Subject {
            agent: Some(Agent { kind: AgentKind::Commissioner, supplier }),
            marking: Some("0104".into()),
            ..Subject::new("Consultation", PaymentSubject::MarkedGoods)
        };
        let line = ReceiptItem {
            subject,
            price: rub(10_000),
            quantity: Quantity::ONE,
            total: rub(10_000),
            vat: Vat::Vat122,
            method: PaymentMethod::Prepayment,
        };
        let mut whole = FiscalReceipt {
            recipient: ReceiptRecipient::Email("anna@example.com".parse().unwrap()),
            tax_system: Some(TaxSystem::SimplifiedIncome),
            ffd: FfdVersion::V12,
            settlement: Settlement::Cashless,
            items: vec![line],
        };
        assert_eq!(
            receipt(&whole),
            json!({
                "FfdVersion": "1.2", "Email": "anna@example.com", "Taxation": "usn_income", "Items": [{
                    "Name": "Consultation", "Price": 10_000, "Quantity": 1, "Amount": 10_000, "Tax": "vat122",
                    "PaymentMethod": "prepayment", "PaymentObject": "goods_with_marking_code", "MeasurementUnit": "шт",
                    "AgentData": { "AgentSign": "commission_agent" },
                    "SupplierInfo": { "Phones": ["+79000000000"], "Name": "Example LLC", "Inn": "7700000000" },
                    "MarkCode": { "MarkCodeType": "RAWCODE", "Value": "0104" }, "MarkProcessingMode": "0",
                }],
            })
        );
        whole.ffd = FfdVersion::V105;
        whole.settlement = Settlement::Prepayment;
        whole.items[0].quantity = Quantity(1_500);
        let old = receipt(&whole);
        assert!(old["Items"][0].get("MeasurementUnit").is_none());
        assert_eq!(old["Items"][0]["Quantity"].to_string(), "1.5");
        assert_eq!(old["Payments"], json!({ "Electronic": 0, "AdvancePayment": 10_000 }));
    }

    /// The table of the fact sheet; no two rates share a word.
    #[test]
    fn every_rate_has_its_own_word() {
        let words: std::collections::BTreeSet<_> = Vat::ALL.iter().map(|rate| tax(*rate)).collect();
        assert_eq!(words.len(), Vat::ALL.len());
        assert_eq!((tax(Vat::None), tax(Vat::Vat22), tax(Vat::Vat122)), ("none", "vat22", "vat122"));
    }
}
