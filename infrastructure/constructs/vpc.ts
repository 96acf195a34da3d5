/**
 * The VPC: made here with two zones, or an existing one described by the
 * configuration, so that no call to AWS is needed.
 */
import { Validations } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import { createLogGroup } from './log-group.ts';

const ZONES = 2;

export function createVpc(scope: Construct, config: Config): ec2.IVpc {
  const vpc = new ec2.Vpc(scope, 'Vpc', {
    vpcName: config.baseName,
    ipAddresses: ec2.IpAddresses.cidr(config.vpcCidr),
    maxAzs: ZONES,
    // One gateway is one point of failure, and half the price: production pays for two.
    natGateways: config.vpcNat ? (config.isProduction ? ZONES : 1) : 0,
    subnetConfiguration: subnets(config),
    // Nothing uses the default group; emptying it would cost a Lambda function.
    restrictDefaultSecurityGroup: false,
  });
  // Image layers come from S3: free through the endpoint, paid by the gigabyte through NAT.
  vpc.addGatewayEndpoint('S3', { service: ec2.GatewayVpcEndpointAwsService.S3 });
  addFlowLog(scope, vpc, config);
  return vpc;
}

/** Sizes that follow the VPC's: 256 and 1,024 addresses in a /16, as small as 16 and 64 in a /20. */
function subnets({ vpcCidr, vpcNat }: Config): ec2.SubnetConfiguration[] {
  const mask = Number(vpcCidr.split('/')[1]);
  const inside: ec2.SubnetConfiguration = {
    name: 'private',
    subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS,
    cidrMask: mask + 6,
  };
  return [
    { name: 'public', subnetType: ec2.SubnetType.PUBLIC, cidrMask: mask + 8, mapPublicIpOnLaunch: false },
    ...(vpcNat ? [inside] : []),
    // No route out at all: the database needs none.
    { name: 'data', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: mask + 8 },
  ];
}

/**
 * Where the tasks run. Without NAT the only way out to AWS is an address of their own in the public subnets; their security
 * groups let nothing in but the load balancer, as everywhere.
 */
export function taskSubnets(config: Config): { vpcSubnets: ec2.SubnetSelection; assignPublicIp: boolean } {
  return config.vpcNat
    ? { vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS }, assignPublicIp: false }
    : { vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC }, assignPublicIp: true };
}

/** The configuration has made sure that all four lists are there and fit together. */
export function importVpc(scope: Construct, config: Config): ec2.IVpc {
  const vpc = ec2.Vpc.fromVpcAttributes(scope, 'Vpc', {
    vpcId: config.vpcId as string,
    availabilityZones: [...(config.vpcZones ?? [])],
    publicSubnetIds: [...(config.vpcSubnetsPublic ?? [])],
    privateSubnetIds: [...(config.vpcSubnetsPrivate ?? [])],
  });
  Validations.of(vpc).acknowledge({
    id: '@aws-cdk/aws-ec2:noSubnetRouteTableId',
    reason: 'Nothing here changes the routes of an existing VPC.',
  });
  addFlowLog(scope, vpc, config);
  return vpc;
}

/** Isolated subnets where we made them; an existing VPC lends its private ones. */
export function dataSubnets(config: Config): ec2.SubnetSelection {
  const made = config.vpcId === undefined;
  return { subnetType: made ? ec2.SubnetType.PRIVATE_ISOLATED : ec2.SubnetType.PRIVATE_WITH_EGRESS };
}

function addFlowLog(scope: Construct, vpc: ec2.IVpc, config: Config): void {
  if (!config.vpcFlowLogs) {
    return;
  }
  const logGroup = createLogGroup(scope, 'FlowLogGroup', `/vpc/${config.baseName}`, config);
  new ec2.FlowLog(scope, 'FlowLog', {
    resourceType: ec2.FlowLogResourceType.fromVpc(vpc),
    destination: ec2.FlowLogDestination.toCloudWatchLogs(logGroup),
  });
}
