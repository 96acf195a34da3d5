/**
 * Public on-demand list prices in US dollars, region us-east-1, without taxes,
 * free tiers or discounts: what we knew of the AWS pricing pages as they stood
 * in mid-2025. Nobody has looked them up since: check them against
 * https://aws.amazon.com/pricing/ before you promise a figure.
 */
export const PRICES_AS_OF = 'mid-2025';

export const PRICES = {
  fargateVcpuHour: 0.04048,
  fargateGbHour: 0.004445,
  auroraAcuHour: 0.12,
  auroraStorageGbMonth: 0.1,
  auroraMillionIo: 0.2,
  backupGbMonth: 0.021,
  crossRegionGb: 0.02,
  loadBalancerHour: 0.0225,
  loadBalancerLcuHour: 0.008,
  natGatewayHour: 0.045,
  natGatewayGb: 0.045,
  publicIpv4Hour: 0.005,
  secretMonth: 0.4,
  alarmMonth: 0.1,
  dashboardMonth: 3,
  metricMonth: 0.3,
  logIngestGb: 0.5,
  firewallMonth: 5,
  firewallRuleMonth: 1,
  firewallMillionRequests: 0.6,
  objectStorageGbMonth: 0.023,
  imageGbMonth: 0.1,
} as const;
