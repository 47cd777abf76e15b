"""What consumers complain about, by product. Companies and dates are masked as in published complaints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

SLOTS: Final[Mapping[str, Sequence[str]]] = {
    "bank": ("XXXX Bank", "my bank", "the bank", "XXXX XXXX"),
    "lender": ("the lender", "XXXX Lending", "XXXX XXXX", "the finance company"),
    "servicer": ("the servicer", "my servicer", "XXXX Servicing", "XXXX XXXX"),
    "collector": ("XXXX Recovery", "a collection agency", "XXXX & Associates", "the collector"),
    "bureau": ("Equifax", "TransUnion", "Experian", "all three bureaus", "the credit bureau"),
    "issuer": ("the card issuer", "XXXX Card Services", "XXXX Bank", "the credit card company"),
    "date": ("XX/XX/2023", "XX/XX/XXXX", "XXXX 2022", "last month", "in XXXX", "two weeks ago"),
    "amount": ("$35.00", "$120.00", "$480.00", "$1200.00", "$2300.00", "$75.00", "$6400.00", "$910.00"),
    "rate": ("24.9 %", "29 %", "over 300 %", "18 %"),
    "person": ("a supervisor", "a representative", "a manager named XXXX", "somebody in the call centre"),
    "family": ("my mother", "my elderly father", "my wife", "my son", "my husband"),
}

CONTEXT: Final = (
    "I have called many times and every person tells me something different.",
    "I spoke to {person} on {date} and was promised a call back that never came.",
    "I have been a loyal customer for over ten years.",
    "I sent letters by certified mail and have the receipts.",
    "Nobody has answered my emails.",
    "I waited on hold for more than an hour.",
    "{person} was very rude and hung up on me.",
    "I have kept copies of everything and can send them.",
    "This has caused me a lot of stress and sleepless nights.",
    "I filed a complaint with them on {date} and it was closed without any explanation.",
    "They only say that it is under review.",
    "I explained all of this to {person} in detail.",
)
ASK: Final = (
    "I want this corrected as soon as possible.",
    "Please help me to resolve this.",
    "I would like a written explanation.",
    "I am asking for my money back.",
    "If this is not resolved I will contact an attorney.",
    "I hope that you can look into this company.",
    "This is not right and should not be allowed.",
    "I expect an answer within 30 days.",
)

# Each product: what opens the story, and what went wrong in detail.
OPENING: Final[Mapping[str, Sequence[str]]] = {
    "bank_account": (
        "On {date} I opened a checking account with {bank} because of a {amount} bonus offer for direct deposit.",
        "{bank} closed my checking account without notice and kept the balance of {amount}.",
        "{bank} charged me overdraft fees of {amount} on my checking account.",
        "I deposited a check for {amount} at the ATM and the bank placed a hold on the funds.",
        "My debit card was used for purchases of {amount} that I did not make and the money was taken from my checking account.",
    ),
    "card": (
        "I have a credit card with {issuer} and was charged interest although I paid the full statement balance.",
        "My credit card application was denied by {issuer} without a good reason.",
        "There is a charge of {amount} on my credit card that I dispute with the merchant.",
        "{issuer} did not give me the rewards points that were promised for the new card.",
        "{issuer} charged a late fee of {amount} on my credit card although autopay was set up.",
    ),
    "consumer_vehicle_loan": (
        "I financed my car with {lender} and the vehicle was repossessed on {date}.",
        "I bought a used vehicle from a dealer and the auto loan is with {lender}.",
        "My auto loan with {lender} was paid off but they will not send me the title of the car.",
        "I leased a vehicle and {lender} charges {amount} at the end of the lease.",
        "I asked {lender} to defer two car payments on my auto loan after I lost my job.",
    ),
    "credit_reporting": (
        "I checked my credit report from {bureau} and found accounts that do not belong to me.",
        "There are inquiries on my credit report that I did not authorize.",
        "{bureau} refuses to remove inaccurate information from my credit file.",
        "I am a victim of identity theft and {bureau} keeps reporting fraudulent accounts on my credit report.",
        "{bureau} reports a late payment on my credit report that is wrong and has lowered my credit score.",
    ),
    "debt_collection": (
        "{collector} keeps calling me about a debt that is not mine.",
        "I received a letter from {collector} that tries to collect {amount} for a debt I do not owe.",
        "{collector} is calling my work and {family} about an alleged debt.",
        "I asked {collector} for validation of the debt and they never sent any proof.",
        "{collector} threatened to sue me over an old medical bill of {amount}.",
    ),
    "money_transfer": (
        "I sent {amount} by wire transfer through Western Union and the receiver never got the money.",
        "My PayPal account was limited and {amount} of my money is held.",
        "I was scammed and sent {amount} through MoneyGram to a person who pretended to help me.",
        "Somebody used Zelle to send {amount} out of my account and the transfer can not be reversed.",
        "I used a mobile wallet to transfer {amount} to {family} and the transaction is stuck.",
    ),
    "mortgage": (
        "{servicer} took over our mortgage on {date} and since then our escrow is wrong.",
        "I applied for a loan modification with {servicer} and they started foreclosure on my home.",
        "We are trying to refinance our home and the mortgage company delays the closing.",
        "{servicer} did not pay our property taxes from the escrow account.",
        "My mortgage payment went up by {amount} because {servicer} put force placed insurance on the house.",
    ),
    "payday_personal_loan": (
        "I took out a payday loan online of {amount} and they debit my account every two weeks.",
        "I applied for a personal loan with {lender} and the interest is {rate}.",
        "An online payday lender took {amount} out of my account without permission.",
        "I received a call about a payday loan that I never took out.",
        "My installment loan with {lender} was refinanced without my consent.",
    ),
    "student_loan": (
        "My student loans are serviced by Navient and my payments are not applied correctly.",
        "I applied for income based repayment of my student loans and {servicer} lost the paperwork.",
        "{servicer} put my student loan into forbearance instead of an income driven plan.",
        "I work for the public and {servicer} does not count my payments for student loan forgiveness.",
        "I co-signed a private student loan for {family} and {servicer} will not release me.",
    ),
}
DETAIL: Final[Mapping[str, Sequence[str]]] = {
    "bank_account": (
        "The branch told me that the account is restricted and that I can not withdraw my own money.",
        "The bank rearranged the transactions so that several overdraft fees of {amount} were charged on one day.",
        "The savings account bonus was never credited although I met every requirement of the offer.",
        "My direct deposit went to the closed account and the funds are held until {date}.",
        "I went to the branch with my debit card and my identification and the teller could not help.",
    ),
    "card": (
        "The card company says that the promotional balance transfer rate no longer applies and charges {rate} interest.",
        "They closed my credit card account and lowered my limit without telling me.",
        "I disputed the charge with the card company and they sided with the merchant.",
        "The annual fee of {amount} was charged to the card after I had cancelled it.",
        "I spent the amount that the offer required within three months and the bonus miles were refused.",
    ),
    "consumer_vehicle_loan": (
        "The car was towed from my driveway although I was only one payment behind.",
        "The dealer sold me the vehicle with defects and the finance company still wants the full payment.",
        "They added {amount} of repossession fees to the balance of the auto loan.",
        "The GAP insurance should have covered the rest of the loan after the car was totaled.",
        "The payoff amount of the vehicle loan changes every time that I call.",
    ),
    "credit_reporting": (
        "I disputed the accounts with {bureau} and they came back as verified without any investigation.",
        "Under the Fair Credit Reporting Act, 15 U.S.C. 1681, you must block this information within 30 days.",
        "I attach my police report and the identity theft report of the FTC; please block these items from my credit report.",
        "The personal information, addresses and date of birth on my report are incorrect.",
        "The same account is listed twice on my report with different balances and the credit bureau does nothing.",
    ),
    "debt_collection": (
        "Under the Fair Debt Collection Practices Act they must validate the debt before they go on collecting.",
        "They call several times a day from different numbers and leave threatening messages.",
        "The original creditor told me that I owe nothing and that the account was never sold to a collection agency.",
        "The debt is older than seven years and past the statute of limitations.",
        "The collection agency has no signed contract and can not show me what the debt is for.",
    ),
    "money_transfer": (
        "The money transfer company says that the funds were picked up by somebody else.",
        "I reported the scam at once and they refused to cancel the transfer and refund the money.",
        "The buyer opened a dispute and PayPal took the money back although the goods were delivered.",
        "They asked me for gift cards and a wire to an account abroad.",
        "The tracking number of the transfer does not work and the receiver is waiting in another country.",
    ),
    "mortgage": (
        "They say that the loan modification package is incomplete although I have sent the same documents five times.",
        "The appraisal was wrong and the interest rate lock expired before the closing of the home loan.",
        "The mortgage was sold and the new servicer has no record of our payments.",
        "A foreclosure sale of our house is set for {date} although the modification is under review.",
        "The escrow analysis shows a shortage of {amount} that nobody can explain.",
    ),
    "payday_personal_loan": (
        "I have paid back more than twice what I borrowed and the loan balance is still {amount}.",
        "The lender is not licensed in my state and charges interest of {rate}.",
        "They told me that I must pay a fee of {amount} first before the personal loan is paid out.",
        "I revoked the authorization for the payday loan and they went on to debit my account.",
        "The loan was advertised with low monthly payments and that was not true.",
    ),
    "student_loan": (
        "The interest has been capitalized and I owe more now than when I left college.",
        "The school closed and the degree is worthless, and yet the federal loans are due.",
        "They advanced the due date instead of applying the extra payment to the loan with the highest interest.",
        "I graduated in {date} and the servicer never told me about the repayment options.",
        "The Department of Education says that my loans qualify and the servicer says that they do not.",
    ),
}
SHORT: Final = ("Please call me back.", "It does not work", "Not happy!", "see attachment", "Help")
