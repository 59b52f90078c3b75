//! Receipts in YooKassa's words (<https://yookassa.ru/developers/54fz/parameters-values>).

use serde_json::{Value, json};

use super::wire::decimal;
use crate::fiscal::{
    AgentKind, FfdVersion, FiscalReceipt, Measure, PaymentMethod, PaymentSubject, ReceiptItem,
    ReceiptRecipient, Settlement, TaxSystem, Vat,
};

const fn vat_code(vat: Vat) -> u8 {
    match vat {
        Vat::None => 1,
        Vat::Vat0 => 2,
        Vat::Vat10 => 3,
        Vat::Vat20 => 4,
        Vat::Vat110 => 5,
        Vat::Vat120 => 6,
        Vat::Vat5 => 7,
        Vat::Vat7 => 8,
        Vat::Vat105 => 9,
        Vat::Vat107 => 10,
        Vat::Vat22 => 11,
        Vat::Vat122 => 12,
    }
}

const fn mode(method: PaymentMethod) -> &'static str {
    match method {
        PaymentMethod::FullPrepayment => "full_prepayment",
        PaymentMethod::Prepayment => "partial_prepayment",
        PaymentMethod::Advance => "advance",
        PaymentMethod::FullPayment => "full_payment",
        PaymentMethod::PartialPayment => "partial_payment",
        PaymentMethod::Credit => "credit",
        PaymentMethod::CreditPayment => "credit_payment",
    }
}

const fn subject(subject: PaymentSubject) -> &'static str {
    match subject {
        PaymentSubject::Service => "service",
        PaymentSubject::Commodity => "commodity",
        PaymentSubject::Job => "job",
        PaymentSubject::Excise => "excise",
        PaymentSubject::Payment => "payment",
        PaymentSubject::AgentCommission => "agent_commission",
        PaymentSubject::MarkedGoods => "marked",
        PaymentSubject::Another => "another",
    }
}

const fn measure(measure: Measure) -> &'static str {
    match measure {
        Measure::Piece => "piece",
        Measure::Kilogram => "kilogram",
        Measure::Hour => "hour",
        Measure::Day => "day",
        Measure::Minute => "minute",
    }
}

const fn agent_type(kind: AgentKind) -> &'static str {
    match kind {
        AgentKind::BankPaymentAgent => "banking_payment_agent",
        AgentKind::BankPaymentSubagent => "banking_payment_subagent",
        AgentKind::PaymentAgent => "payment_agent",
        AgentKind::PaymentSubagent => "payment_subagent",
        AgentKind::Attorney => "attorney",
        AgentKind::Commissioner => "commissioner",
        AgentKind::Agent => "agent",
    }
}

const fn tax_system_code(system: TaxSystem) -> u8 {
    match system {
        TaxSystem::General => 1,
        TaxSystem::SimplifiedIncome => 2,
        TaxSystem::SimplifiedIncomeLessExpenses => 3,
        TaxSystem::Agricultural => 5,
        TaxSystem::Patent => 6,
    }
}

fn item(line: &ReceiptItem, ffd: FfdVersion) -> Value {
    // The amount of a line is the price of one unit (tag 1079).
    let mut item = json!({
        "description": line.subject.description, "quantity": line.quantity.decimal(),
        "amount": { "value": decimal(line.price.minor), "currency": line.price.currency.as_str() },
        "vat_code": vat_code(line.vat), "payment_mode": mode(line.method),
        "payment_subject": subject(line.subject.subject), "measure": measure(line.subject.measure),
    });
    if let Some(agent) = &line.subject.agent {
        item["agent_type"] = agent_type(agent.kind).into();
        item["supplier"] = json!({
            "name": agent.supplier.name, "phone": agent.supplier.phone.digits(), "inn": agent.supplier.inn,
        });
    }
    match (&line.subject.marking, ffd) {
        (None, _) => {}
        (Some(code), FfdVersion::V105) => item["product_code"] = code.as_str().into(),
        // As the scanner has read it.
        (Some(code), FfdVersion::V12) => {
            item["mark_code_info"] = json!({ "mark_code_raw": code });
            item["mark_mode"] = 0.into();
        }
    }
    item
}

/// The object `receipt` of a payment, a capture or a refund.
pub(super) fn receipt(receipt: &FiscalReceipt) -> Value {
    let customer = match &receipt.recipient {
        ReceiptRecipient::Email(email) => json!({ "email": email.expose() }),
        ReceiptRecipient::Phone(phone) => json!({ "phone": phone.digits() }),
    };
    let items: Vec<Value> = receipt.items.iter().map(|line| item(line, receipt.ffd)).collect();
    let mut object = json!({ "customer": customer, "items": items });
    if let Some(system) = receipt.tax_system {
        object["tax_system_code"] = tax_system_code(system).into();
    }
    object
}

/// The body of a receipt by itself.
pub(super) fn separate(due: &FiscalReceipt, payment: &str) -> Value {
    let kind = match due.settlement {
        Settlement::Cashless => "cashless",
        Settlement::Prepayment => "prepayment",
    };
    let total: i64 = due.items.iter().map(|line| line.total.minor).sum();
    let currency = due.items.first().map_or("RUB", |line| line.total.currency.as_str());
    let mut body = receipt(due);
    body["type"] = "payment".into();
    body["payment_id"] = payment.into();
    body["send"] = true.into();
    body["settlements"] =
        json!([{ "type": kind, "amount": { "value": decimal(total), "currency": currency } }]);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fiscal::{Agent, Quantity, Subject, Supplier};
    use crate::{Currency, Money};

    #[test]
    fn a_receipt_in_yookassas_words() {
        let rub = |minor| Money::new(minor, Currency::RUB);
        let phone = "+79000000000".parse().unwrap();
        let supplier = Supplier { name: "Example LLC".into(), phone, inn: "7700000000".into() };
        let subject = Subject {
            agent: Some(Agent { kind: AgentKind::Agent, supplier }),
            marking: Some("0104".into()),
            ..Subject::new("Consultation", PaymentSubject::MarkedGoods)
        };
        let line = ReceiptItem {
            subject,
            price: rub(10_005),
            quantity: Quantity(2_000),
            total: rub(20_010),
            vat: Vat::Vat22,
            method: PaymentMethod::Prepayment,
        };
        let mut whole = FiscalReceipt {
            recipient: ReceiptRecipient::Phone("+79000000000".parse().unwrap()),
            tax_system: Some(TaxSystem::Patent),
            ffd: FfdVersion::V12,
            settlement: Settlement::Prepayment,
            items: vec![line],
        };
        assert_eq!(
            separate(&whole, "215d8da0"),
            json!({
                "type": "payment", "payment_id": "215d8da0", "send": true, "customer": { "phone": "79000000000" },
                "tax_system_code": 6, "items": [{
                    "description": "Consultation", "quantity": "2", "amount": { "value": "100.05", "currency": "RUB" },
                    "vat_code": 11, "payment_mode": "partial_prepayment", "payment_subject": "marked",
                    "measure": "piece", "agent_type": "agent",
                    "supplier": { "name": "Example LLC", "phone": "79000000000", "inn": "7700000000" },
                    "mark_code_info": { "mark_code_raw": "0104" }, "mark_mode": 0,
                }],
                "settlements": [{ "type": "prepayment", "amount": { "value": "200.10", "currency": "RUB" } }],
            })
        );
        whole.ffd = FfdVersion::V105;
        let old = receipt(&whole);
        assert_eq!(old["items"][0]["product_code"], "0104");
        assert!(old["items"][0].get("mark_code_info").is_none() && old.get("settlements").is_none());
    }

    /// The table of the documentation: codes 1 to 12.
    #[test]
    fn every_rate_has_its_own_code() {
        let codes: std::collections::BTreeSet<_> = Vat::ALL.iter().map(|rate| vat_code(*rate)).collect();
        assert_eq!(codes, (1..=12).collect());
        for (rate, code) in
            [(Vat::None, 1), (Vat::Vat20, 4), (Vat::Vat105, 9), (Vat::Vat22, 11), (Vat::Vat122, 12)]
        {
            assert_eq!(vat_code(rate), code);
        }
    }
}
