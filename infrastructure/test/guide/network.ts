import assert from 'node:assert/strict';
import { type ConfigError, loadConfig } from '../../config/load.ts';
import { section } from '../support/sentence.ts';
import { REQUIRED } from '../support/synth.ts';
import { all, none, one } from '../support/template.ts';
import { existingVpc, plain, scheduled } from '../support/variants.ts';

export const network = section('Network Stack', {
  'Purpose: Provides foundational networking, DNS, and SSL capabilities.': () => {
    const template = JSON.stringify(plain().template('compute').toJSON());
    assert.match(template, /ImportValue":"millrace-dev-network:ExportsOutputRefVpc/);
    assert.ok(template.includes('Z1234567890ABC') && template.includes(REQUIRED.CDK_CERTIFICATE_ARN ?? 'missing'));
    for (const type of ['database', 'compute', 'scheduled-task'] as const) {
      none(scheduled().template(type), 'AWS::EC2::VPC');
    }
  },
  'VPC: Existing VPC imported by ID for network isolation': [
    'With `CDK_VPC_ID` and the lists of its subnets and zones; without it the stack creates one.',
    () => {
      none(existingVpc().template('network'), 'AWS::EC2::VPC');
      const group = all(existingVpc().template('database'), 'AWS::EC2::SecurityGroup')[0];
      assert.equal(group?.Properties.VpcId, 'vpc-0123456789abcdef0');
      one(plain().template('network'), 'AWS::EC2::VPC');
    },
  ],
  'Route 53 Hosted Zone: Existing zone for DNS management': () => {
    for (const type of ['network', 'compute'] as const) {
      none(plain().template(type), 'AWS::Route53::HostedZone');
    }
    assert.equal(one(plain().template('compute'), 'AWS::Route53::RecordSet').Properties.HostedZoneId, 'Z1234567890ABC');
  },
  'SSL Certificate: Existing ACM certificate for HTTPS termination': () => {
    const https = all(plain().template('compute'), 'AWS::ElasticLoadBalancingV2::Listener').find(
      ({ Properties }) => Properties.Port === 443,
    );
    assert.deepEqual(https?.Properties.Certificates, [{ CertificateArn: REQUIRED.CDK_CERTIFICATE_ARN }]);
    none(plain().template('network'), 'AWS::CertificateManager::Certificate');
  },
  'DNS Alias: A-record pointing to the Application Load Balancer': [
    'The record is in the compute stack, beside the load balancer: in the network stack it would close a circle.',
    () => {
      const template = plain().template('compute');
      const record = one(template, 'AWS::Route53::RecordSet').Properties;
      const { id } = one(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer');
      assert.equal(record.Type, 'A');
      assert.equal(record.Name, 'millrace-api.example.com.');
      assert.ok(JSON.stringify(record.AliasTarget.DNSName).includes(id));
    },
  ],
  '// Required environment variables': [
    '`CDK_HOSTED_ZONE_ID`, `CDK_HOSTED_ZONE_NAME`, `CDK_CERTIFICATE_ARN`, `CDK_DOMAIN_NAME`',
    () => {
      assert.throws(
        () => loadConfig({}),
        (error: ConfigError) => {
          const names = error.problems.map(({ name }) => name).sort();
          assert.deepEqual(names, [
            'CDK_CERTIFICATE_ARN',
            'CDK_DOMAIN_NAME',
            'CDK_ENVIRONMENT',
            'CDK_HOSTED_ZONE_ID',
            'CDK_HOSTED_ZONE_NAME',
          ]);
          return true;
        },
      );
    },
  ],
});

export const networkSecurity = section('Network Security', {
  'VPC Isolation: Application deployed in existing VPC with proper subnetting': () => {
    const subnets = one(existingVpc().template('compute'), 'AWS::ECS::Service').Properties.NetworkConfiguration;
    assert.deepEqual(subnets.AwsvpcConfiguration.Subnets, ['subnet-00000000000000003', 'subnet-00000000000000004']);
    const balancer = one(existingVpc().template('compute'), 'AWS::ElasticLoadBalancingV2::LoadBalancer');
    assert.deepEqual(balancer.Properties.Subnets, ['subnet-00000000000000001', 'subnet-00000000000000002']);
  },
  'Security Groups: Restrictive firewall rules between tiers': () => {
    const open = scheduled().assembly.stacks.flatMap(({ template }) =>
      Object.values<{ Type: string; Properties: Record<string, unknown> }>(template.Resources).flatMap((resource) => {
        if (resource.Type === 'AWS::EC2::SecurityGroupIngress') {
          return [resource.Properties];
        }
        return resource.Type === 'AWS::EC2::SecurityGroup'
          ? ((resource.Properties.SecurityGroupIngress as Record<string, unknown>[]) ?? [])
          : [];
      }),
    );
    const fromAnywhere = open.filter(({ CidrIp, CidrIpv6 }) => CidrIp !== undefined || CidrIpv6 !== undefined);
    assert.deepEqual(fromAnywhere.map(({ FromPort }) => FromPort).sort(), [443, 80], 'only the load balancer is open');
    assert.ok(open.length >= 5);
  },
  'Private Subnets: Database and application in non-internet-routable subnets': [
    '`CDK_VPC_NAT=false` gives this up for the application, outside production.',
    () => {
      const template = plain().template('network');
      const internet = new Set(
        all(template, 'AWS::EC2::Route')
          .filter(({ Properties }) => Properties.GatewayId !== undefined)
          .map(({ Properties }) => JSON.stringify(Properties.RouteTableId)),
      );
      assert.equal(internet.size, 2, 'the two public subnets');
      const routed = all(template, 'AWS::EC2::SubnetRouteTableAssociation')
        .filter(({ Properties }) => internet.has(JSON.stringify(Properties.RouteTableId)))
        .map(({ Properties }) => Properties.SubnetId.Ref);
      assert.ok(routed.every((id: string) => id.includes('public')));
    },
  ],
  'NAT Gateway: Outbound internet access for updates and APIs': [
    '`CDK_VPC_NAT=false` gives this up, outside production.',
    () => {
      const template = plain().template('network');
      const natRoutes = all(template, 'AWS::EC2::Route').filter(({ Properties }) => Properties.NatGatewayId);
      assert.equal(natRoutes.length, 2, 'both private subnets');
    },
  ],
});
