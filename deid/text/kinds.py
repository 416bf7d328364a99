"""The kinds of identifiers that are found, the marks that stand for them, and what presidio calls them."""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a span is; ``WITHHELD`` stands for a document that could not be judged."""

    PERSON = "PERSON"
    ADDRESS = "ADDRESS"
    PLACE = "PLACE"
    ORGANIZATION = "ORGANIZATION"
    DATE = "DATE"
    AGE = "AGE"

    MOBILE = "MOBILE"
    LANDLINE = "LANDLINE"
    SERVICE_NUMBER = "SERVICE_NUMBER"
    FAX = "FAX"
    EMAIL = "EMAIL"
    URL = "URL"
    WECHAT = "WECHAT"
    QQ = "QQ"
    POSTCODE = "POSTCODE"

    ID_NUMBER = "ID_NUMBER"
    HK_MACAU_PERMIT = "HK_MACAU_PERMIT"
    TAIWAN_PERMIT = "TAIWAN_PERMIT"
    PASSPORT = "PASSPORT"
    OFFICER_ID = "OFFICER_ID"
    DRIVER_LICENCE = "DRIVER_LICENCE"
    USCC = "USCC"
    BANK_CARD = "BANK_CARD"
    ACCOUNT_NUMBER = "ACCOUNT_NUMBER"
    IBAN = "IBAN"
    PLATE = "PLATE"

    RECORD_NUMBER = "RECORD_NUMBER"
    VISIT_NUMBER = "VISIT_NUMBER"
    PRESCRIPTION_NUMBER = "PRESCRIPTION_NUMBER"
    INSURANCE_NUMBER = "INSURANCE_NUMBER"
    EXAMINATION_NUMBER = "EXAMINATION_NUMBER"
    US_SSN = "US_SSN"
    US_NPI = "US_NPI"
    US_MBI = "US_MBI"

    IP_ADDRESS = "IP_ADDRESS"
    MAC_ADDRESS = "MAC_ADDRESS"
    IMEI = "IMEI"
    DEVICE_ID = "DEVICE_ID"
    OPENID = "OPENID"
    COORDINATES = "COORDINATES"

    WITHHELD = "WITHHELD"


MARKS: Final[dict[Kind, str]] = {
    Kind.PERSON: "〔姓名〕",
    Kind.ADDRESS: "〔地址〕",
    Kind.PLACE: "〔地区〕",
    Kind.ORGANIZATION: "〔机构〕",
    Kind.DATE: "〔日期〕",
    Kind.AGE: "〔年龄〕",
    Kind.MOBILE: "〔手机〕",
    Kind.LANDLINE: "〔座机〕",
    Kind.SERVICE_NUMBER: "〔热线〕",
    Kind.FAX: "〔传真〕",
    Kind.EMAIL: "〔邮箱〕",
    Kind.URL: "〔网址〕",
    Kind.WECHAT: "〔微信〕",
    Kind.QQ: "〔扣扣〕",
    Kind.POSTCODE: "〔邮编〕",
    Kind.ID_NUMBER: "〔身份证〕",
    Kind.HK_MACAU_PERMIT: "〔港澳证〕",
    Kind.TAIWAN_PERMIT: "〔台胞证〕",
    Kind.PASSPORT: "〔护照〕",
    Kind.OFFICER_ID: "〔军官证〕",
    Kind.DRIVER_LICENCE: "〔驾驶证〕",
    Kind.USCC: "〔信用代码〕",
    Kind.BANK_CARD: "〔银行卡〕",
    Kind.ACCOUNT_NUMBER: "〔账号〕",
    Kind.IBAN: "〔国际账号〕",
    Kind.PLATE: "〔车牌〕",
    Kind.RECORD_NUMBER: "〔病历号〕",
    Kind.VISIT_NUMBER: "〔就诊号〕",
    Kind.PRESCRIPTION_NUMBER: "〔处方号〕",
    Kind.INSURANCE_NUMBER: "〔医保号〕",
    Kind.EXAMINATION_NUMBER: "〔检查号〕",
    Kind.US_SSN: "〔社安号〕",
    Kind.US_NPI: "〔医者号〕",
    Kind.US_MBI: "〔受益人号〕",
    Kind.IP_ADDRESS: "〔网络地址〕",
    Kind.MAC_ADDRESS: "〔网卡地址〕",
    Kind.IMEI: "〔机身码〕",
    Kind.DEVICE_ID: "〔设备号〕",
    Kind.OPENID: "〔平台号〕",
    Kind.COORDINATES: "〔坐标〕",
    Kind.WITHHELD: "〔全文隐去〕",
}
"""What stands in the scrubbed text. No digit, Latin letter or ``@`` occurs in a mark, so none is ever found again."""

STANDARD_NAMES: Final[dict[Kind, str]] = {
    Kind.ADDRESS: "LOCATION",
    Kind.PLACE: "LOCATION",
    Kind.DATE: "DATE_TIME",
    Kind.MOBILE: "PHONE_NUMBER",
    Kind.LANDLINE: "PHONE_NUMBER",
    Kind.SERVICE_NUMBER: "PHONE_NUMBER",
    Kind.FAX: "PHONE_NUMBER",
    Kind.EMAIL: "EMAIL_ADDRESS",
    Kind.BANK_CARD: "CREDIT_CARD",
    Kind.IBAN: "IBAN_CODE",
    Kind.POSTCODE: "ZIP_CODE",
}
"""presidio's names where they differ from ours; several of our kinds may be one of presidio's."""
